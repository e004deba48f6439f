package policy.deny.team_test

import rego.v2

call(scopes) := {"principal": {"scopes": scopes}, "resource": {"ancestors": ["shared/prod/x", "shared/prod", "shared"]}}

test_with_a_ticket if {
	count(data.policy.deny.team.deny) == 0 with input as call(["read", "breakglass:INC-123"])
}

test_without if {
	count(data.policy.deny.team.deny) == 1 with input as call(["read"])
}

test_with_an_empty_one if {
	count(data.policy.deny.team.deny) == 1 with input as call(["read", "breakglass:"])
}
