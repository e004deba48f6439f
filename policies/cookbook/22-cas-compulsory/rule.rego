package policy.deny.team

import rego.v2

# METADATA
# title: A write says which version it replaces
# custom:
#   id: cas.missing
deny contains {
	"code": "cas.missing",
	"msg": "give cas, the version that you read, so that nothing is overwritten unseen",
	"audience": "agent",
	"rule": "cas.missing",
} if {
	input.action.op == "kv.write"
	not "cas" in input.args.keys
}
