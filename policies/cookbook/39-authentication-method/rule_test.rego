package policy.deny.team_test

import rego.v2

call(method) := {"action": {"effect": "issue"}, "principal": {"auth": {"method": method}}}

test_a_certificate if {
	count(data.policy.deny.team.deny) == 0 with input as call("mtls")
}

test_a_key if {
	count(data.policy.deny.team.deny) == 1 with input as call("api_key")
}

test_a_token if {
	count(data.policy.deny.team.deny) == 1 with input as call("jwt")
}
