package policy.deny.team_test

import rego.v2

call(claims) := {"principal": {"claims": claims}, "resource": {"ancestors": ["deploy/prod", "deploy"]}}

test_main if {
	count(data.policy.deny.team.deny) == 0 with input as call({"repository": "octo-org/app", "ref": "refs/heads/main"})
}

test_another_branch if {
	count(data.policy.deny.team.deny) == 1 with input as call({"repository": "octo-org/app", "ref": "refs/heads/x"})
}

test_a_fork if {
	count(data.policy.deny.team.deny) == 1 with input as call({"repository": "mallory/app", "ref": "refs/heads/main"})
}

test_no_claims if count(data.policy.deny.team.deny) == 1 with input as call({})

test_elsewhere if {
	count(data.policy.deny.team.deny) == 0 with input as {"principal": {"claims": {}}, "resource": {"ancestors": ["mcp/x", "mcp"]}}
}
