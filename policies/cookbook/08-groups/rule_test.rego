package policy.deny.team_test

import rego.v2

call(roles) := {"principal": {"roles": roles}, "resource": {"ancestors": ["shared/payroll/x", "shared/payroll", "shared"]}}

test_a_member if count(data.policy.deny.team.deny) == 0 with input as call(["/staff/finance"])

test_a_contractor if count(data.policy.deny.team.deny) == 1 with input as call(["/staff/finance", "/external/acme"])

test_a_group_that_begins_so if count(data.policy.deny.team.deny) == 0 with input as call(["/externals"])

test_elsewhere if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"roles": ["/external/acme"]}, "resource": {"ancestors": ["shared"]}}
}
