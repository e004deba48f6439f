package policy.deny.team

import rego.v2

# METADATA
# title: Nothing is done while the flag stands
# custom:
#   id: stop.all
deny contains {
	"code": "stop.all",
	"msg": "everything is stopped; ask the security team",
	"audience": "agent",
	"rule": "stop.all",
} if {
	data.team.team.stopped
	input.action.engine != "self"
}
