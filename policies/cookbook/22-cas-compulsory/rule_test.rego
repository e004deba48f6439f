package policy.deny.team_test

import rego.v2

call(keys) := {"action": {"op": "kv.write"}, "args": {"keys": keys}}

test_with_it if {
	count(data.policy.deny.team.deny) == 0 with input as call(["path", "data", "cas"])
}

test_without_it if {
	count(data.policy.deny.team.deny) == 1 with input as call(["path", "data"])
}
