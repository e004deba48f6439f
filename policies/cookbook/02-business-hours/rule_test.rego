package policy.deny.team_test

import rego.v2

call(t) := {"action": {"effect": "write"}, "principal": {"kind": "agent"}, "context": {"time": {"unix_s": t}}}

test_on_monday_at_noon if {
	count(data.policy.deny.team.deny) == 0 with input as call(1699873200)
}

test_on_monday_at_night if {
	count(data.policy.deny.team.deny) == 1 with input as call(1699833600)
}

test_on_sunday_at_noon if {
	count(data.policy.deny.team.deny) == 1 with input as call(1699786800)
}
