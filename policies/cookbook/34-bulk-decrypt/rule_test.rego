package policy.deny.team_test

import rego.v2

call(kind, keys) := {"action": {"op": "transit.decrypt"}, "principal": {"kind": kind}, "args": {"keys": keys}}

test_a_batch if {
	count(data.policy.deny.team.deny) == 1 with input as call("agent", ["key", "items"])
}

test_one if {
	count(data.policy.deny.team.deny) == 0 with input as call("agent", ["key", "ciphertext"])
}

test_a_service if {
	count(data.policy.deny.team.deny) == 0 with input as call("service", ["key", "items"])
}
