package policy.deny.team

import rego.v2

# METADATA
# title: Nobody both makes and approves
# custom:
#   id: toxic.scopes
deny contains {
	"code": "toxic.scopes",
	"msg": "come with a token that does not have both payments.make and payments.approve",
	"audience": "agent",
	"rule": "toxic.scopes",
} if {
	"payments.make" in input.principal.claims.scopes
	"payments.approve" in input.principal.claims.scopes
}
