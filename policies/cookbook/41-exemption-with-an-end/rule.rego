package policy.deny.team

import rego.v2

# METADATA
# title: A rule with exemptions that end by themselves
# custom:
#   id: exempt.ended
deny contains {
	"code": "exempt.ended",
	"msg": "agents do not issue credentials; an exemption is given by the security team",
	"audience": "agent",
	"rule": "exempt.ended",
} if {
	input.action.effect == "issue"
	input.principal.kind == "agent"
	not exempt
}

# Dates of this form are ordered as texts are; decisions are kept for the day.
exempt if input.context.time.date <= data.team.team.exempt[input.principal.id]
