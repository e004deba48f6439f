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

test_masked if {
	data.gateway.decision.obligations.deliver == "masked" with input as ask("kv.read", "read", "shared/inventory/x", ["shared/inventory", "shared"], {"id": "agent_api"})
}

test_no_write if {
	data.gateway.decision.allow == false with input as ask("kv.write", "write", "shared/inventory/x", ["shared/inventory", "shared"], {"id": "agent_api"})
}
