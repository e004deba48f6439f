package policy.deny.team

import rego.v2

# METADATA
# title: Credentials are issued to certificates alone
# custom:
#   id: method.weak
deny contains {
	"code": "method.weak",
	"msg": "come with a client certificate",
	"audience": "agent",
	"rule": "method.weak",
} if {
	input.action.effect == "issue"
	input.principal.auth.method != "mtls"
}
