package policy.lib.recipe_test

import rego.v2

ask(op, effect, path, above, who) := {
	"principal": object.union(
		{"id": "a", "tenant": "", "roles": [], "prefix": "mcp/a", "tier": "standard", "scopes": ["read", "list", "write", "delete"]},
		who,
	),
	"action": {"op": op, "engine": split(op, ".")[0], "effect": effect, "public": false},
	"resource": {"path": path, "ancestors": array.concat([path], above), "matches": []},
	"context": {"time": {"unix_s": 1700000000}},
}

# The gateway finds the grants with wildcards and templates and puts them into the input.
match(role, key, prefix) := {"resource": {"matches": [{"table": "roles", "holder": role, "key": key, "prefix": prefix}]}}

deployer(op, effect) := ask(op, effect, "apps/shop/config", ["apps/shop", "apps"], {"roles": ["deploy"]})

test_an_application if {
	d := data.gateway.decision with input as object.union(deployer("kv.read", "read"), match("deploy", "apps/+/config", "apps/shop/config"))
	d.allow
	d.path_prefix == "apps/shop/config"
}

test_reading_alone if {
	d := data.gateway.decision with input as object.union(deployer("kv.write", "write"), match("deploy", "apps/+/config", "apps/shop/config"))
	not d.allow
}

test_nothing_without_a_match if {
	d := data.gateway.decision with input as deployer("kv.read", "read")
	not d.allow
}
