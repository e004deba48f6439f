package policy.deny.team_test

import rego.v2

call(scopes) := {"principal": {"claims": {"scopes": scopes}}}

test_one if count(data.policy.deny.team.deny) == 0 with input as call(["read", "payments.make"])

test_the_other if count(data.policy.deny.team.deny) == 0 with input as call(["read", "payments.approve"])

test_both if count(data.policy.deny.team.deny) == 1 with input as call(["payments.approve", "read", "payments.make"])
