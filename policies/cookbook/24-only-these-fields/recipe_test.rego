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

test_the_application_reads_all if {
	d := data.gateway.decision with input as ask("kv.read", "read", "shared/db/a", ["shared/db", "shared"], {"roles": ["app"]})
	d.allow
	not d.obligations.fields
}

test_support_reads_two_fields if {
	d := data.gateway.decision with input as ask("kv.read", "read", "shared/db/a", ["shared/db", "shared"], {"roles": ["support"]})
	d.allow
	{f | some f in d.obligations.fields} == {"user", "host"}
}

test_who_is_both_reads_two_fields if {
	d := data.gateway.decision with input as ask("kv.read", "read", "shared/db/a", ["shared/db", "shared"], {"roles": ["app", "support"]})
	{f | some f in d.obligations.fields} == {"user", "host"}
}
