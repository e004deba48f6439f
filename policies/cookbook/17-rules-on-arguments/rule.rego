package policy.deny.team

import rego.v2

# METADATA
# title: Certificates carry no port forwarding
# custom:
#   id: ssh.extensions
deny contains {
	"code": "ssh.extensions",
	"msg": "ask for a certificate without port forwarding",
	"audience": "agent",
	"rule": "ssh.extensions",
} if {
	input.action.op == "ssh.sign"
	contains(lower(sprintf("%v", [input.args.values])), "port-forwarding")
}
