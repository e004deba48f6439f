package policy.deny.team

import rego.v2

# METADATA
# title: Agents take nothing away for good
# custom:
#   id: destroy.agents
deny contains {
	"code": "destroy.agents",
	"msg": "agents remove nothing that cannot be brought back; delete without all, or ask a person",
	"audience": "agent",
	"rule": "destroy.agents",
} if {
	input.action.destructive
	input.principal.kind == "agent"
}
