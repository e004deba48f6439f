package policy.deny.team

import rego.v2

# METADATA
# title: People come from known devices and places, at a low risk
# description: >-
#   As of the moment in which the token was issued: keep tokens short.
# custom:
#   id: posture.low
deny contains {
	"code": "posture.low",
	"msg": "sign in again from a compliant device",
	"audience": "agent",
	"rule": "posture.low",
} if {
	input.principal.kind == "human"
	not sound
}

sound if {
	input.principal.claims.device_compliant == true
	data.team.team.countries[input.principal.claims.country]
	data.team.team.risks[input.principal.claims.risk]
}
