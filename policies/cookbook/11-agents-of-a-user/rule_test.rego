package policy.deny.team_test

import rego.v2

call(agent) := {"principal": {"acting": {"id": agent}, "on_behalf_of": {"id": "alice", "kind": "human"}}}

test_a_listed_agent if {
	count(data.policy.deny.team.deny) == 0 with input as call("copilot")
}

test_another_agent if {
	count(data.policy.deny.team.deny) == 1 with input as call("stranger")
}

test_nobody_acts if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"acting": {"id": "alice"}, "on_behalf_of": null}}
}
