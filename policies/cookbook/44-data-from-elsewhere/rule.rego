package policy.deny.team

import rego.v2

# METADATA
# title: Changes are made by who is on call, as another system knows
# custom:
#   id: roster.not_on_call
deny contains {
	"code": "roster.not_on_call",
	"msg": "changes are made by who is on call; the duty roster does not know you for today",
	"audience": "agent",
	"rule": "roster.not_on_call",
} if {
	input.action.effect in {"write", "delete"}
	not on_call
}

# Dates of this form are ordered as texts are; decisions are kept for the day.
on_call if input.context.time.date <= data.team.team.on_call[input.principal.id]
