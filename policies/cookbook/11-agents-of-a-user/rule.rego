package policy.deny.team

import rego.v2

# METADATA
# title: Only these agents act for people
# custom:
#   id: delegate.agent
deny contains {
	"code": "delegate.agent",
	"msg": "this agent may not act for others",
	"audience": "agent",
	"rule": "delegate.agent",
} if {
	input.principal.on_behalf_of != null
	not listed
}

listed if data.team.team.agents[input.principal.acting.id]
