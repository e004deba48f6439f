package policy.deny.team_test

import rego.v2

call(kind, ancestors) := {"principal": {"kind": kind}, "resource": {"ancestors": ancestors}}

test_an_agent_in_prod if {
	count(data.policy.deny.team.deny) == 1 with input as call("agent", ["shared/prod/x", "shared/prod", "shared"])
}

test_an_agent_in_dev if {
	count(data.policy.deny.team.deny) == 0 with input as call("agent", ["shared/dev/x", "shared/dev", "shared"])
}

test_a_person_in_prod if {
	count(data.policy.deny.team.deny) == 0 with input as call("human", ["shared/prod", "shared"])
}

test_a_path_that_begins_so if {
	count(data.policy.deny.team.deny) == 0 with input as call("agent", ["shared/production", "shared"])
}
