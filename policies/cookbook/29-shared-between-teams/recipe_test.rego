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

test_one_writes if {
	data.gateway.decision.allow == true with input as ask("kv.write", "write", "shared/banners/x", ["shared/banners", "shared"], {"roles": ["web"]})
}

test_the_other_reads if {
	data.gateway.decision.allow == true with input as ask("kv.read", "read", "shared/banners/x", ["shared/banners", "shared"], {"roles": ["ads"]})
}

test_the_other_does_not_write if {
	data.gateway.decision.allow == false with input as ask("kv.write", "write", "shared/banners/x", ["shared/banners", "shared"], {"roles": ["ads"]})
}
