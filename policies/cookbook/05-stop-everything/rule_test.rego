package policy.deny.team_test

import rego.v2

test_while_it_stands if {
	count(data.policy.deny.team.deny) == 1 with input as {"action": {"engine": "kv"}} with data.team.team.stopped as true
}

test_otherwise if {
	count(data.policy.deny.team.deny) == 0 with input as {"action": {"engine": "kv"}} with data.team.team.stopped as false
}

test_who_am_i if {
	count(data.policy.deny.team.deny) == 0 with input as {"action": {"engine": "self"}} with data.team.team.stopped as true
}
