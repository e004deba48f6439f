package policy.deny.team

import rego.v2

# METADATA
# title: This caller comes with this certificate
# custom:
#   id: pin.certificate
deny contains {
	"code": "pin.certificate",
	"msg": "use the certificate that is registered for this caller",
	"audience": "agent",
	"rule": "pin.certificate",
} if {
	pinned := data.team.team.pins[input.principal.id]
	input.principal.auth.cert_fp != pinned
}
