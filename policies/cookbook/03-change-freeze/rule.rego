package policy.deny.team

import rego.v2

# METADATA
# title: Nothing is changed during a freeze
# custom:
#   id: freeze.window
deny contains {
	"code": "freeze.window",
	"msg": "changes are frozen; try again after the freeze",
	"audience": "agent",
	"rule": "freeze.window",
} if {
	input.action.effect in {"write", "delete", "issue"}
	frozen
}

# First and last day of each window. Dates of this form are ordered as texts are, and
# decisions are kept for the day.
windows := [["2026-12-19", "2027-01-02"], ["2027-06-28", "2027-07-02"]]

frozen if {
	some window in windows
	input.context.time.local.date >= window[0]
	input.context.time.local.date <= window[1]
}
