package policy.deny.team_test

import rego.v2

test_from_the_network if {
	count(data.policy.deny.team.deny) == 0 with input as {"context": {"source_ip": "10.1.2.3"}}
}

test_from_elsewhere if {
	count(data.policy.deny.team.deny) == 1 with input as {"context": {"source_ip": "192.0.2.1"}}
}

test_without_an_address_as_over_stdio if {
	count(data.policy.deny.team.deny) == 1 with input as {"context": {"source_ip": ""}}
}
