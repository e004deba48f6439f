package policy.deny.team

import rego.v2

# METADATA
# title: These tools are hidden from an agent
# custom:
#   id: tools.hidden
deny contains {
	"code": "tools.hidden",
	"msg": "this operation is not for this agent",
	"audience": "agent",
	"rule": "tools.hidden",
} if {
	data.team.team.hidden[input.principal.id][input.action.op]
}
