package policy.deny.team

import rego.v2

# METADATA
# title: Agents decrypt ten at a time
# custom:
#   id: bulk.decrypt
deny contains {
	"code": "bulk.decrypt",
	"msg": "decrypt at most ten ciphertexts at a time",
	"audience": "agent",
	"rule": "bulk.decrypt",
} if {
	input.action.op == "transit.decrypt"
	input.principal.kind == "agent"
	input.args.items > 10
}
