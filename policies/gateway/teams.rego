package gateway

import rego.v2

# METADATA
# description: A team's package may only subtract. One refusal is enough.
# custom:
#   id: gateway.refused
refused if {
	some team
	some d in data.policy.deny[team].deny
	counts(team, d)
}

# METADATA
# custom:
#   id: gateway.counts
counts(_, _) if not data.computed.qualified

# METADATA
# description: Where a team has a part of its own, or a rule is in dry run, each refusal is looked at.
# custom:
#   id: gateway.counts.in_part
counts(team, said) if {
	data.computed.qualified
	enforced(team, said)
}

# METADATA
# description: A team is heard about what it owns; one that data give no part of its own, about everything.
# custom:
#   id: gateway.enforced
enforced(team, said) if {
	not dry(said)
	heard(team)
}

# METADATA
# description: A rule in dry run is counted and logged, and changes nothing. Any other mode is none.
# custom:
#   id: gateway.dry
dry(said) if said.mode == "dry_run"

# METADATA
# custom:
#   id: gateway.heard.everywhere
heard(team) if not data.teams[team].owns

# METADATA
# custom:
#   id: gateway.heard.global
heard(team) if data.teams[team].global == true

# METADATA
# custom:
#   id: gateway.heard.owner
heard(team) if {
	owned := data.computed.owned[team][input.action.engine]
	some name in input.resource.ancestors
	owned[name]
}

# METADATA
# description: The rules in dry run that would have refused the call, or asked something of its result.
# custom:
#   id: gateway.tried
tried contains d.rule if {
	some team
	some d in data.policy.deny[team].deny
	dry(d)
	heard(team)
}

# METADATA
# custom:
#   id: gateway.tried.obligations
tried contains d.rule if {
	some team
	some d in data.policy.obligations[team].obligation
	dry(d)
	heard(team)
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
# custom:
#   id: gateway.ttl
reasons contains {
	"code": "ttl.too_short",
	"msg": "ask for a longer time, or for none",
	"audience": "agent",
	"rule": "gateway.ttl",
} if {
	too_short
}

# METADATA
# description: A team's reason is for administrators unless it says otherwise.
# custom:
#   id: gateway.team
reasons contains {"code": d.code, "msg": d.msg, "audience": audience(d), "rule": d.rule} if {
	some team
	some d in data.policy.deny[team].deny
	enforced(team, d)
}

# METADATA
# custom:
#   id: gateway.audience
audience(d) := d.audience if {
	d.audience
} else := "admin"
