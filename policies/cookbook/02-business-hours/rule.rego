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

open if {
	ns := input.context.time.unix_s * 1000000000
	time.weekday([ns, "Europe/Berlin"]) in {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}
	[hour, _, _] := time.clock([ns, "Europe/Berlin"])
	hour >= 8
	hour < 18
}
