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

test_five_minutes if {
	data.gateway.decision.obligations.max_ttl_s == 300 with input as ask("ssh.sign", "issue", "ca", [], {"roles": ["ci"]})
}

test_nobody_else if {
	data.gateway.decision.allow == false with input as ask("ssh.sign", "issue", "ca", [], {})
}
