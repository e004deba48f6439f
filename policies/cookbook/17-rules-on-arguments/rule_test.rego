package policy.deny.team_test

import rego.v2

call(args) := {"action": {"op": "ssh.sign"}, "args": {"values": args}}

test_with_forwarding if {
	count(data.policy.deny.team.deny) == 1 with input as call({"extensions": {"permit-port-forwarding": ""}})
}

test_without if {
	count(data.policy.deny.team.deny) == 0 with input as call({"extensions": {"permit-pty": ""}})
}

test_another_operation if {
	count(data.policy.deny.team.deny) == 0 with input as {"action": {"op": "kv.read"}, "args": {"values": {"path": "port-forwarding"}}}
}
