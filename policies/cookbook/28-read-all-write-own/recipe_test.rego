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

test_reads_another_part if {
	data.gateway.decision.allow == true with input as ask("kv.read", "read", "shared/team2/x", ["shared/team2", "shared"], {"roles": ["team1"]})
}

test_writes_its_own if {
	data.gateway.decision.allow == true with input as ask("kv.write", "write", "shared/team1/x", ["shared/team1", "shared"], {"roles": ["team1"]})
}

test_writes_no_other if {
	data.gateway.decision.allow == false with input as ask("kv.write", "write", "shared/team2/x", ["shared/team2", "shared"], {"roles": ["team1"]})
}
