package policy.deny.team

import rego.v2

# METADATA
# title: Agents take nothing away for good
# custom:
#   id: destroy.agents
deny contains {
	"code": "destroy.agents",
	"msg": "agents do not delete or destroy secrets; ask a person",
	"audience": "agent",
	"rule": "destroy.agents",
} if {
	input.action.op in {"kv.delete", "kv.destroy"}
	input.principal.kind == "agent"
}
