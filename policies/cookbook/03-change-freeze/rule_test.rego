package policy.deny.team_test

import rego.v2

call(t) := {"action": {"effect": "write"}, "context": {"time": {"unix_s": t}}}

test_before if {
	count(data.policy.deny.team.deny) == 0 with input as call(1766188799)
}

test_during if {
	count(data.policy.deny.team.deny) == 1 with input as call(1766188800)
}

test_reading if {
	count(data.policy.deny.team.deny) == 0 with input as {"action": {"effect": "read"}, "context": {"time": {"unix_s": 1766188800}}}
}

test_after if {
	count(data.policy.deny.team.deny) == 0 with input as call(1767312000)
}
