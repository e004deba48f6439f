# METADATA
# title: The decision
# description: >-
#   Every call is answered by data.gateway.decision. A call is allowed when its
#   caller is known, its scope is there, something grants the resource and no team
#   refuses it. Everything else is denied, with reasons.
package gateway

import rego.v2

# METADATA
# description: What rules in dry run would have said is told with the answer, which it does not change.
# entrypoint: true
# custom:
#   id: gateway.decision
decision := object.union(answer, {"dry_run": [rule | some rule in tried]}) if {
	data.computed.qualified
	tried != set()
} else := answer

# METADATA
# description: Allow is tried first because most calls are allowed; reasons are worked out for the others alone.
# custom:
#   id: gateway.answer
answer := {
	"v": 1,
	"allow": true,
	"reasons": [],
	"required_scopes": required_scopes,
	"path_prefix": path_prefix,
	"tier": input.principal.tier,
	"obligations": obligations,
} if {
	allowed
} else := {
	"v": 1,
	"allow": false,
	"reasons": [r | some r in reasons],
	"required_scopes": required_scopes,
	"path_prefix": "",
	"tier": input.principal.tier,
	"obligations": {"transforms": [], "deliver": "plain", "wrap_ttl_s": 0, "max_ttl_s": 0, "approval": null},
}

# METADATA
# description: Lists ask for this rule alone, with the resource and the arguments unknown.
# custom:
#   id: gateway.allowed
allowed if {
	id := input.principal.id
	is_string(id)
	id != ""
	scoped
	granted
	not refused
	long_enough
}
