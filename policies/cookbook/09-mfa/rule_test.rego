package policy.deny.team_test

import rego.v2

call(claims) := {
	"action": {"effect": "write"}, "principal": {"kind": "human", "claims": claims},
	"context": {"time": {"unix_s": 1700000000}},
}

test_with_both if count(data.policy.deny.team.deny) == 0 with input as call({"amr": ["pwd", "mfa"], "auth_time": 1699999500})

test_too_long_ago if count(data.policy.deny.team.deny) == 1 with input as call({"amr": ["pwd", "mfa"], "auth_time": 1699999100})

test_one_factor if count(data.policy.deny.team.deny) == 1 with input as call({"amr": ["pwd"], "auth_time": 1699999500})

test_no_time if count(data.policy.deny.team.deny) == 1 with input as call({"amr": ["mfa"]})

test_no_claims if count(data.policy.deny.team.deny) == 1 with input as call({})

test_an_agent if count(data.policy.deny.team.deny) == 0 with input as object.union(call({}), {"principal": {"kind": "agent"}})

test_reading if count(data.policy.deny.team.deny) == 0 with input as object.union(call({}), {"action": {"effect": "read"}})
