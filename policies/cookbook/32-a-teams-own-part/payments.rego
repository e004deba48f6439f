package policy.deny.payments

import rego.v2

# METADATA
# title: Cards are not written by agents
# description: Without a part of its own, the team would refuse every write of everybody.
# custom:
#   id: payments.writes
deny contains {
	"code": "payments.writes",
	"msg": "agents do not write here; ask the payments team",
	"audience": "agent",
	"rule": "payments.writes",
} if {
	input.action.effect == "write"
	input.principal.kind == "agent"
}
