package policy.deny.team

import rego.v2

# METADATA
# title: Calls come from these networks alone
# custom:
#   id: network.allowed
deny contains {
	"code": "network.denied",
	"msg": "call from a network that is allowed",
	"audience": "agent",
	"rule": "network.allowed",
} if {
	not allowed
}

networks := ["10.0.0.0/8", "2001:db8::/32"]

allowed if {
	input.context.source_ip != ""
	some network in networks
	net.cidr_contains(network, input.context.source_ip)
}
