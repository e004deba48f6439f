package policy.deny.team

import rego.v2

# METADATA
# title: Agents decrypt one by one
# custom:
#   id: bulk.decrypt
deny contains {
	"code": "bulk.decrypt",
	"msg": "decrypt one ciphertext at a time",
	"audience": "agent",
	"rule": "bulk.decrypt",
} if {
	input.action.op == "transit.decrypt"
	input.principal.kind == "agent"
	"items" in input.args.keys
}
