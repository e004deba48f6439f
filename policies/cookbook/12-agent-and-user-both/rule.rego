package policy.deny.team

import rego.v2

# METADATA
# title: An agent uses a key only if it has a grant of its own
# custom:
#   id: delegate.grant
deny contains {
	"code": "delegate.grant",
	"msg": "the agent that acts has no grant of this key",
	"audience": "agent",
	"rule": "delegate.grant",
} if {
	input.action.engine == "transit"
	input.principal.on_behalf_of != null
	not granted
}

granted if data.tenants[input.principal.tenant].subjects[input.principal.acting.id].transit[input.resource.path]
