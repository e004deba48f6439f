package gateway

import rego.v2

# METADATA
# description: A team's package may only subtract. One refusal is enough.
# custom:
#   id: gateway.refused
refused if {
	some team
	some _ in data.policy.deny[team].deny
}

# METADATA
# custom:
#   id: gateway.known
known if {
	is_string(input.principal.id)
	input.principal.id != ""
}

# METADATA
# description: Why a call is denied. Only reasons for "agent" are shown to the caller.
# custom:
#   id: gateway.caller
reasons contains {
	"code": "caller.unknown",
	"msg": "the caller has no name",
	"audience": "admin",
	"rule": "gateway.caller",
} if {
	not known
}

# METADATA
# custom:
#   id: gateway.scope
reasons contains {
	"code": "scope.missing",
	"msg": "ask for a credential with the scope that this operation needs",
	"audience": "agent",
	"rule": "gateway.scope",
} if {
	not scoped
}

# METADATA
# custom:
#   id: gateway.resource
reasons contains {
	"code": "resource.denied",
	"msg": "there is nothing of that name for you",
	"audience": "agent",
	"rule": "gateway.resource",
} if {
	not granted
}

# METADATA
# description: A team's reason is for administrators unless it says otherwise.
# custom:
#   id: gateway.team
reasons contains {"code": d.code, "msg": d.msg, "audience": audience(d), "rule": d.rule} if {
	some team
	some d in data.policy.deny[team].deny
}

# METADATA
# custom:
#   id: gateway.audience
audience(d) := d.audience if {
	d.audience
} else := "admin"
