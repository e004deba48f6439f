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

# The windows, from and until, in Unix seconds.
windows := [[1766188800, 1767312000]]

frozen if {
	some window in windows
	input.context.time.unix_s >= window[0]
	input.context.time.unix_s < window[1]
}
