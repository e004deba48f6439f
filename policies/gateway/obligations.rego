package gateway

import rego.v2

# METADATA
# description: Everything that asks something of the result, from the grants that were found.
# custom:
#   id: gateway.duties.grant
duties contains grant if {
	some [_, grant] in grants
	grant != {}
}

# METADATA
# description: From data, by operation.
# custom:
#   id: gateway.duties.operation
duties contains data.obligations[input.action.op]

# METADATA
# description: From teams.
# custom:
#   id: gateway.duties.team
duties contains duty if {
	some team
	some duty in data.policy.obligations[team].obligation
	enforced(team, duty)
}

# METADATA
# description: Most calls have no duties.
# custom:
#   id: gateway.long_enough.always
long_enough if duties == set()

# METADATA
# custom:
#   id: gateway.long_enough
long_enough if not too_short

# METADATA
# description: A lease must be asked for at least as long as every duty says; one that is asked for without a time lives as Vault says.
# custom:
#   id: gateway.too_short
too_short if {
	some d in duties
	shorter(d)
}

# METADATA
# custom:
#   id: gateway.shorter
shorter(d) if {
	input.request.ttl_s > 0
	input.request.ttl_s < d.min_ttl_s
}

# METADATA
# custom:
#   id: gateway.shorter.wrapped
shorter(d) if {
	input.request.wrap_ttl_s > 0
	input.request.wrap_ttl_s < d.min_wrap_ttl_s
}

# METADATA
# description: The union of all duties, and the tightest of each bound. Nothing that is added loosens it.
# custom:
#   id: gateway.obligations
obligations := {"transforms": [], "deliver": "plain", "wrap_ttl_s": 0, "max_ttl_s": 0, "approval": null} if {
	duties == set()
} else := object.union(always, asked_for)

# METADATA
# description: What every result is held to.
# custom:
#   id: gateway.always
always := {
	"transforms": [t | some t in {t | some d in duties; some t in d.transforms}],
	"deliver": tightest_delivery,
	"wrap_ttl_s": least([n | some d in duties; n := d.wrap_ttl_s]),
	"max_ttl_s": least([n | some d in duties; n := d.max_ttl_s]),
	"approval": approval,
}

# METADATA
# description: To mask and to wrap are two things, so a result that is both is wrapped masked.
# custom:
#   id: gateway.asked_for.masked
asked_for["masked"] := true if {
	tightest_delivery == "wrapped"
	some d in duties
	d.deliver == "masked"
}

# METADATA
# description: Every list of fields narrows what the others show.
# custom:
#   id: gateway.asked_for.fields
asked_for["fields"] := [f | some f in shown] if {
	some d in duties
	d.fields
	shown := intersection({{f | some f in d.fields} | some d in duties; d.fields})
}

# METADATA
# custom:
#   id: gateway.asked_for.min_ttl_s
asked_for["min_ttl_s"] := max({n | some d in duties; n := d.min_ttl_s})

# METADATA
# custom:
#   id: gateway.asked_for.min_wrap_ttl_s
asked_for["min_wrap_ttl_s"] := max({n | some d in duties; n := d.min_wrap_ttl_s})

# METADATA
# description: A delivery that nobody knows is passed on as it is, and the gateway then denies.
# custom:
#   id: gateway.tightest_delivery
tightest_delivery := strange if {
	some d in duties
	strange := d.deliver
	not strange in {"plain", "masked", "wrapped"}
} else := "wrapped" if {
	some d in duties
	d.deliver == "wrapped"
} else := "masked" if {
	some d in duties
	d.deliver == "masked"
} else := "plain"

# METADATA
# description: The smallest bound that is set; 0 sets none. What is below it is no bound, and the gateway then denies.
# custom:
#   id: gateway.least
least(bounds) := min(set) if {
	set := {n | some n in bounds; n != 0}
	count(set) > 0
} else := 0

# METADATA
# description: Reserved. The gateway denies what needs an approval until approvals exist.
# custom:
#   id: gateway.approval
approval := {"groups": [g | some g in groups]} if {
	groups := {d.approval.group | some d in duties}
	count(groups) > 0
} else := null
