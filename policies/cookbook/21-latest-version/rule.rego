package policy.deny.team

import rego.v2

# METADATA
# title: Agents read the newest version
# custom:
#   id: version.latest
deny contains {
	"code": "version.latest",
	"msg": "read the newest version: leave the version out",
	"audience": "agent",
	"rule": "version.latest",
} if {
	input.action.op == "kv.read"
	input.principal.kind == "agent"
	input.resource.version != 0
}
