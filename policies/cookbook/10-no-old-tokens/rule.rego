package policy.deny.team

import rego.v2

# METADATA
# title: Tokens are at most an hour old
# custom:
#   id: token.age
deny contains {
	"code": "token.old",
	"msg": "get a new token: this one is older than an hour",
	"audience": "agent",
	"rule": "token.age",
} if {
	input.principal.auth.method == "jwt"
	input.principal.auth.age_s > 3600
}
