package policy.deny.team_test

import rego.v2

call(reason) := {"request": {"reason": reason}, "resource": {"ancestors": ["shared/prod/db", "shared/prod", "shared"]}}

test_with_a_ticket if count(data.policy.deny.team.deny) == 0 with input as call("INC-1234")

test_with_more_words if count(data.policy.deny.team.deny) == 0 with input as call("INC-1234 database down")

test_without if count(data.policy.deny.team.deny) == 1 with input as call("")

test_with_something_else if count(data.policy.deny.team.deny) == 1 with input as call("see INC-1234")

test_elsewhere if {
	count(data.policy.deny.team.deny) == 0 with input as object.union(call(""), {"resource": {"ancestors": ["shared/test", "shared"]}})
}
