package policy.deny.team

import rego.v2

# METADATA
# title: API keys are replaced every ninety days
# custom:
#   id: key.old
deny contains {
	"code": "key.old",
	"msg": "replace this API key: it is older than ninety days, or nobody knows how old it is",
	"audience": "agent",
	"rule": "key.old",
} if {
	input.principal.auth.method == "api_key"
	not young
}

# An unknown age is null.
young if {
	is_number(input.principal.auth.age_s)
	input.principal.auth.age_s < 7776000
}
