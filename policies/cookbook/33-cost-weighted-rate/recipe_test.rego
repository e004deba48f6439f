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

test_allowed if {
	data.gateway.decision.allow == true with input as ask("db.issue_creds", "issue", "readonly", [], {"id": "agent_api"})
}

test_of_its_tier if {
	data.gateway.decision.tier == "careful" with input as ask("db.issue_creds", "issue", "readonly", [], {"id": "agent_api", "tier": "careful"})
}
