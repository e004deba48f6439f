package policy.deny.team_test

import rego.v2

call(kind, items) := {"action": {"op": "transit.decrypt"}, "principal": {"kind": kind}, "args": {"items": items}}

test_ten if count(data.policy.deny.team.deny) == 0 with input as call("agent", 10)

test_eleven if count(data.policy.deny.team.deny) == 1 with input as call("agent", 11)

test_one if count(data.policy.deny.team.deny) == 0 with input as call("agent", 0)

test_a_service if count(data.policy.deny.team.deny) == 0 with input as call("service", 11)

test_encrypting if {
	count(data.policy.deny.team.deny) == 0 with input as object.union(call("agent", 11), {"action": {"op": "transit.encrypt"}})
}
