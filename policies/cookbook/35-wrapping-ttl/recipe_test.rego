package policy.lib.recipe_test

import rego.v2

ask(op, effect, path, above, who) := {
	"principal": object.union(
		{"id": "a", "tenant": "", "roles": [], "prefix": "mcp/a", "tier": "standard", "scopes": ["read", "list", "write", "delete"]},
		who,
	),
	"action": {"op": op, "engine": split(op, ".")[0], "effect": effect, "public": false},
	"resource": {"path": path, "ancestors": array.concat([path], above)},
	"context": {"time": {"unix_s": 1700000000}},
}

test_nobody_without_a_grant if {
	data.gateway.decision.allow == false with input as ask("db.issue_creds", "issue", "readonly", [], {})
}

test_two_minutes if {
	data.gateway.decision.obligations.wrap_ttl_s == 120 with input as ask("db.issue_creds", "issue", "readonly", [], {"id": "agent_api"})
}

test_too_short if {
	d := data.gateway.decision with input as object.union(
		ask("db.issue_creds", "issue", "readonly", [], {"id": "agent_api"}),
		{"request": {"wrap_ttl_s": 29}},
	)
	d.reasons[_].code == "ttl.too_short"
}
