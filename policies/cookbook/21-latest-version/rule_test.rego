package policy.deny.team_test

import rego.v2

call(version) := {"action": {"op": "kv.read"}, "principal": {"kind": "agent"}, "resource": {"version": version}}

test_the_newest if {
	count(data.policy.deny.team.deny) == 0 with input as call(0)
}

test_an_old_one if {
	count(data.policy.deny.team.deny) == 1 with input as call(3)
}
