package policy.deny.team_test

import rego.v2

call(patch) := {
	"principal": {"claims": object.union({"email": "a@example.com", "email_verified": true, "departments": ["sales", "audit"]}, patch)},
	"resource": {"ancestors": ["shared/payroll/may", "shared/payroll", "shared"]},
}

test_audit if count(data.policy.deny.team.deny) == 0 with input as call({})

test_sales if count(data.policy.deny.team.deny) == 1 with input as call({"departments": ["sales"]})

test_another_company if count(data.policy.deny.team.deny) == 1 with input as call({"email": "a@example.com.evil.test"})

test_an_unverified_address if count(data.policy.deny.team.deny) == 1 with input as call({"email_verified": false})

test_a_text_is_not_true if count(data.policy.deny.team.deny) == 1 with input as call({"email_verified": "true"})

test_no_claims if {
	count(data.policy.deny.team.deny) == 1 with input as object.union(call({}), {"principal": {"claims": null}})
}

test_elsewhere if {
	count(data.policy.deny.team.deny) == 0 with input as object.union(call({"departments": []}), {"resource": {"ancestors": ["shared"]}})
}
