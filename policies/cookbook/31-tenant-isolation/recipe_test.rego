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

test_its_own if {
	data.gateway.decision.allow == true with input as ask("transit.encrypt", "write", "acme", [], {"id": "agent_api", "tenant": "acme"})
}

test_of_the_other if {
	data.gateway.decision.allow == false with input as ask("transit.encrypt", "write", "globex", [], {"id": "agent_api", "tenant": "acme"})
}

test_without_a_tenant if {
	data.gateway.decision.allow == false with input as ask("transit.encrypt", "write", "acme", [], {"id": "agent_api"})
}
