package policy.deny.team

import rego.v2

# METADATA
# title: Production is opened with a ticket alone
# custom:
#   id: glass.ticket
deny contains {
	"code": "glass.ticket",
	"msg": "ask for a token with the scope breakglass:<ticket>",
	"audience": "agent",
	"rule": "glass.ticket",
} if {
	"shared/prod" in input.resource.ancestors
	not ticket
}

ticket if {
	some scope in input.principal.scopes
	regex.match(`^breakglass:INC-[0-9]+$`, scope)
}
