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

test_ten_minutes if {
	data.gateway.decision.obligations.max_ttl_s == 600 with input as ask("db.issue_creds", "issue", "readonly", [], {"roles": ["app"]})
}

test_an_hour if {
	data.gateway.decision.obligations.max_ttl_s == 3600 with input as ask("db.issue_creds", "issue", "readonly", [], {"roles": ["batch"]})
}

test_both_roles_have_the_smaller if {
	data.gateway.decision.obligations.max_ttl_s == 600 with input as ask("db.issue_creds", "issue", "readonly", [], {"roles": ["batch", "app"]})
}
