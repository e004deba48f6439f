package policy.deny.team

import rego.v2

# METADATA
# title: Agents write in business hours of Berlin alone
# custom:
#   id: hours.closed
deny contains {
	"code": "hours.closed",
	"msg": "write from Monday to Friday, 8 to 18 in Berlin",
	"audience": "agent",
	"rule": "hours.closed",
} if {
	input.action.effect == "write"
	input.principal.kind == "agent"
	not open
}

# Decisions are kept for as long as hour and weekday last.
open if {
	data.team.team.days[input.context.time.local.weekday]
	input.context.time.local.hour >= data.team.team.hours.from
	input.context.time.local.hour < data.team.team.hours.until
}
