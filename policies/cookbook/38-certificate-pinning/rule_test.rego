package policy.deny.team_test

import rego.v2

call(who, fp) := {"principal": {"id": who, "auth": {"cert_fp": fp}}}

pins := {"batch": "9f86d081884c7d65"}

test_its_own if {
	count(data.policy.deny.team.deny) == 0 with input as call("batch", "9f86d081884c7d65") with data.team.team.pins as pins
}

test_another if {
	count(data.policy.deny.team.deny) == 1 with input as call("batch", "60303ae22b998861") with data.team.team.pins as pins
}

test_none if {
	count(data.policy.deny.team.deny) == 1 with input as call("batch", "") with data.team.team.pins as pins
}

test_a_caller_without_a_pin if {
	count(data.policy.deny.team.deny) == 0 with input as call("other", "") with data.team.team.pins as pins
}
