package policy.deny.team_test

import rego.v2

call(principals) := {"action": {"op": "ssh.sign"}, "args": {"values": {"valid_principals": principals}}}

test_root if {
	count(data.policy.deny.team.deny) == 1 with input as call("root")
}

test_root_among_others if {
	count(data.policy.deny.team.deny) == 1 with input as call("ubuntu, root")
}

test_another if {
	count(data.policy.deny.team.deny) == 0 with input as call("ubuntu")
}

test_a_name_that_begins_so if {
	count(data.policy.deny.team.deny) == 0 with input as call("rooter")
}
