package policy.deny.team

import rego.v2

# METADATA
# title: Tokens are at most an hour old
# custom:
#   id: token.age
deny contains {
	"code": "token.old",
	"msg": "get a new token: this one is older than an hour, or does not say how old it is",
	"audience": "agent",
	"rule": "token.age",
} if {
	input.principal.auth.method == "jwt"
	not young
}

# An unknown age is null.
young if {
	is_number(input.principal.auth.age_s)
	input.principal.auth.age_s <= 3600
}
