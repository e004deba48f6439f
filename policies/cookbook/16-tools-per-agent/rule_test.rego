package policy.deny.team_test

import rego.v2

call(who, op) := {"principal": {"id": who}, "action": {"op": op}}

test_a_hidden_one if {
	count(data.policy.deny.team.deny) == 1 with input as call("agent_api", "db.issue_creds")
}

test_another_one if {
	count(data.policy.deny.team.deny) == 0 with input as call("agent_api", "kv.read")
}

test_another_agent if {
	count(data.policy.deny.team.deny) == 0 with input as call("batch", "db.issue_creds")
}
