package policy.deny.team_test

import rego.v2

call(who, t) := {"action": {"effect": "issue"}, "principal": {"kind": "agent", "id": who}, "context": {"time": {"unix_s": t}}}

test_exempt if {
	count(data.policy.deny.team.deny) == 0 with input as call("migrator", 1767000000)
}

test_over if {
	count(data.policy.deny.team.deny) == 1 with input as call("migrator", 1800000000)
}

test_not_exempt if {
	count(data.policy.deny.team.deny) == 1 with input as call("other", 1767000000)
}
