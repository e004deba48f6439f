package gateway_test

import rego.v2

# call is a whole input; each test changes what it is about.
call := {
	"v": 1,
	"request": {
		"id": "r", "transport": "rest", "phase": "call",
		"deliver": "", "wrap_ttl_s": 0, "ttl_s": 0, "reason": "",
	},
	"principal": {
		"id": "a", "kind": "agent", "tenant": "", "issuer": "", "prefix": "mcp/a", "tier": "standard",
		"roles": [], "scopes": ["read", "list", "write", "delete"], "on_behalf_of": null,
		"auth": {"method": "api_key", "age_s": 0, "cert_fp": ""},
	},
	"action": {"op": "kv.read", "engine": "kv", "effect": "read", "public": false},
	"resource": {"mount": "secret", "path": "mcp/a/x", "ancestors": ["mcp/a/x", "mcp/a", "mcp"], "version": 0, "matches": []},
	"args": {"keys": ["path"], "bytes": 10, "values": {}},
	"context": {"time": {"unix_s": 1700000000, "weekday": "tuesday", "hour_utc": 22}, "source_ip": "127.0.0.1"},
}

changed(patch) := object.union(call, patch)

decide(i) := d if {
	d := data.gateway.decision with input as i with data.tenants as tenants with data.obligations as duties
}

tenants := {
	"": {
		"subjects": {
			"a": {
				"transit": {"k": {"ops": ["transit.encrypt"]}, "old": {"expires_s": 1700000000}, "new": {"expires_s": 1700000001}},
				"kv": {"shared/a": {"ops": ["kv.read"], "deliver": "masked", "max_ttl_s": 50}},
			},
		},
		"roles": {"ci": {
			"db": {"readonly": {"max_ttl_s": 60, "transforms": [{"name": "mask"}]}},
			"kv": {"shared": {"deliver": "plain", "max_ttl_s": 100}},
		}},
	},
	"acme": {"subjects": {"b": {"transit": {"k": {}}}}},
}

duties := {"db.issue_creds": {"max_ttl_s": 30, "deliver": "wrapped", "wrap_ttl_s": 20}}

on(path, ancestors) := {"resource": {"path": path, "ancestors": ancestors}}

transit(operation, effect, key) := changed({
	"action": {"op": operation, "engine": "transit", "effect": effect},
	"resource": {"path": key, "ancestors": [key]},
})

codes(d) := {r.code | some r in d.reasons}

rules(d) := {r.rule | some r in d.reasons}

test_a_role_is_one_of_its_tenant if {
	patch := {
		"principal": {"tenant": "acme", "roles": ["ci"], "prefix": "mcp/b", "id": "b"},
		"action": {"op": "db.issue_creds", "engine": "db", "effect": "issue"},
		"resource": {"path": "readonly", "ancestors": ["readonly"]},
	}
	not decide(changed(patch)).allow
	decide(changed(object.union(patch, {"principal": {"tenant": ""}}))).allow
}

said(entry) := {"t": {"deny": {object.union({"code": "c", "msg": "m", "rule": "t.r"}, entry)}}}

test_a_rule_in_dry_run_is_told_of_and_changes_nothing if {
	d := decide(call) with data.policy.deny as said({"mode": "dry_run"}) with data.computed as {"qualified": true}
	d.allow
	d.dry_run == ["t.r"]
}

test_a_duty_in_dry_run_is_told_of_and_changes_nothing if {
	d := decide(call) with data.policy.obligations as {"t": {"obligation": {{"deliver": "masked", "rule": "t.o", "mode": "dry_run"}}}}
		with data.computed as {"qualified": true}
	d.obligations.deliver == "plain"
	d.dry_run == ["t.o"]
}

test_any_other_mode_is_enforced if not decide(call).allow with data.policy.deny as said({"mode": "dryrun"})
	with data.computed as {"qualified": true}

test_a_team_is_heard_about_what_it_owns if {
	teams := {"t": {"owns": {"kv": ["mcp/a/x"]}}}
	computed := {"qualified": true, "owned": {"t": {"kv": {"mcp/a/x": true}}}}
	d := decide(call) with data.policy.deny as said({}) with data.teams as teams with data.computed as computed
	not d.allow
	e := decide(changed(on("mcp/a/y", ["mcp/a/y", "mcp/a", "mcp"]))) with data.policy.deny as said({})
		with data.teams as teams with data.computed as computed
	e.allow
}

test_a_global_team_is_heard_about_everything if {
	teams := {"t": {"owns": {"kv": ["mcp/b"]}, "global": true}}
	d := decide(call) with data.policy.deny as said({}) with data.teams as teams
		with data.computed as {"qualified": true, "owned": {"t": {"kv": {"mcp/b": true}}}}
	d.reasons[_].code == "c"
}

test_a_grant_with_a_wildcard if {
	i := changed({"resource": {
		"path": "apps/x/config", "ancestors": ["apps/x/config", "apps/x", "apps"],
		"matches": [{"table": "subjects", "holder": "a", "key": "apps/+/config", "prefix": "apps/x/config"}],
	}})
	d := data.gateway.decision with input as i with data.tenants as {"": {"subjects": {"a": {"kv": {"apps/+/config": {}}}}}}
	d.allow
	d.path_prefix == "apps/x/config"
}

test_a_lease_may_not_be_asked_for_too_shortly if {
	duties := {"t": {"obligation": {{"min_ttl_s": 60, "min_wrap_ttl_s": 30}}}}
	d := decide(changed({"request": {"ttl_s": 59}})) with data.policy.obligations as duties
	d.reasons[_].code == "ttl.too_short"
	e := decide(changed({"request": {"wrap_ttl_s": 29}})) with data.policy.obligations as duties
	e.reasons[_].code == "ttl.too_short"
	f := decide(changed({"request": {"ttl_s": 60, "wrap_ttl_s": 30}})) with data.policy.obligations as duties
	f.allow
}

test_a_masked_thing_is_wrapped_masked if {
	d := decide(call) with data.policy.obligations as {"t": {"obligation": {{"deliver": "masked"}, {"deliver": "wrapped"}}}}
	d.obligations.deliver == "wrapped"
	d.obligations.masked
}

test_every_list_of_fields_narrows if {
	d := decide(call) with data.policy.obligations as {"t": {"obligation": {{"fields": ["a", "b"]}, {"fields": ["b", "c"]}}}}
	d.obligations.fields == ["b"]
}

test_the_largest_minimum_holds if {
	d := decide(call) with data.policy.obligations as {"t": {"obligation": {
		{"min_ttl_s": 5, "min_wrap_ttl_s": 7},
		{"min_ttl_s": 9, "min_wrap_ttl_s": 3},
	}}}
	d.obligations.min_ttl_s == 9
	d.obligations.min_wrap_ttl_s == 7
}

test_own_secret_is_allowed if {
	d := decide(call)
	d.allow
	d.path_prefix == "mcp/a"
	d.required_scopes == ["read"]
	d.tier == "standard"
	d.obligations == {"transforms": [], "deliver": "plain", "wrap_ttl_s": 0, "max_ttl_s": 0, "approval": null}
}

test_effects_need_their_scope[effect] if {
	some effect, scope in {"read": "read", "list": "list", "write": "write", "delete": "delete", "issue": "write"}
	with_scope := decide(changed({"action": {"effect": effect}, "principal": {"scopes": [scope]}}))
	with_scope.allow
	with_scope.required_scopes == [scope]
	without := decide(changed({"action": {"effect": effect}, "principal": {"scopes": [s | some s in call.principal.scopes; s != scope]}}))
	not without.allow
	rules(without) == {"gateway.scope"}
}

test_an_unknown_effect_is_denied if not decide(changed({"action": {"effect": "own"}}))

test_public_needs_no_scope if {
	d := decide(changed({"action": {"op": "self.whoami", "engine": "self", "public": true}, "principal": {"scopes": []}}))
	d.allow
	d.required_scopes == []
	d.path_prefix == ""
}

test_public_needs_a_name if {
	d := decide(changed({"action": {"op": "self.whoami", "engine": "self", "public": true}, "principal": {"id": ""}}))
	not d.allow
	rules(d) == {"gateway.caller"}
}

test_a_sibling_is_denied if {
	d := decide(changed(on("mcp/a2/x", ["mcp/a2/x", "mcp/a2", "mcp"])))
	not d.allow
	rules(d) == {"gateway.resource"}
	d.path_prefix == ""
}

test_above_the_prefix_is_denied if not decide(changed(on("mcp", ["mcp"]))).allow

test_the_root_is_denied if not decide(changed(on("", []))).allow

test_no_prefix_grants_nothing if not decide(changed(object.union({"principal": {"prefix": ""}}, on("", [])))).allow

test_a_granted_path if {
	d := decide(changed(on("shared/a/x", ["shared/a/x", "shared/a", "shared"])))
	d.allow
	d.path_prefix == "shared/a"
	d.obligations.deliver == "masked"
}

test_the_longest_grant_is_the_prefix_and_the_tightest_bound_holds if {
	d := decide(changed(object.union({"principal": {"roles": ["ci"]}}, on("shared/a/x", ["shared/a/x", "shared/a", "shared"]))))
	d.path_prefix == "shared/a"
	d.obligations.deliver == "masked"
	d.obligations.max_ttl_s == 50
}

test_a_grant_is_for_its_operations if {
	decide(transit("transit.encrypt", "write", "k")).allow
	not decide(transit("transit.decrypt", "read", "k")).allow
}

test_a_grant_ends if {
	decide(transit("transit.encrypt", "write", "new")).allow
	not decide(transit("transit.encrypt", "write", "old")).allow
}

test_a_key_that_nobody_granted_is_denied if not decide(transit("transit.encrypt", "write", "other")).allow

test_what_names_nothing_needs_its_scope_alone if {
	decide(changed({"action": {"op": "transit.random", "engine": "transit"}, "resource": {"path": "", "ancestors": []}})).allow
	not decide(changed({"action": {"op": "transit.encrypt", "engine": "transit"}, "resource": {"path": "", "ancestors": []}})).allow
}

test_another_tenant_is_another_caller if {
	key := transit("transit.encrypt", "write", "k")
	decide(object.union(key, {"principal": {"id": "b", "tenant": "acme"}})).allow
	not decide(object.union(key, {"principal": {"id": "b"}})).allow
	not decide(object.union(key, {"principal": {"id": "a", "tenant": "acme"}})).allow
	not decide(object.union(key, {"principal": {"id": "a", "tenant": "other"}})).allow
}

test_a_role_grants_and_duties_add_up if {
	d := decide(changed({
		"principal": {"roles": ["ci"]},
		"action": {"op": "db.issue_creds", "engine": "db", "effect": "issue"},
		"resource": {"mount": "database", "path": "readonly", "ancestors": ["readonly"]},
	}))
	d.allow
	d.obligations == {"transforms": [{"name": "mask"}], "deliver": "wrapped", "wrap_ttl_s": 20, "max_ttl_s": 30, "approval": null}
}

test_the_tier_is_the_callers if {
	decide(changed({"principal": {"tier": "gold"}})).tier == "gold"
	d := decide(changed(object.union({"principal": {"tier": "gold"}}, on("elsewhere", ["elsewhere"]))))
	not d.allow
	d.tier == "gold"
}

test_a_team_subtracts if {
	d := data.gateway.decision with input as call
		with data.policy.deny as {"t": {"deny": {{"code": "t.no", "msg": "no", "rule": "t.no"}}}}
	not d.allow
	d.reasons == [{"code": "t.no", "msg": "no", "rule": "t.no", "audience": "admin"}]
}

test_a_team_speaks_to_the_agent if {
	d := data.gateway.decision with input as call
		with data.policy.deny as {"t": {"deny": {{"code": "t.no", "msg": "no", "rule": "t.no", "audience": "agent"}}}}
	codes(d) == {"t.no"}
	d.reasons[0].audience == "agent"
}

test_a_team_adds_duties if {
	d := data.gateway.decision with input as call
		with data.policy.obligations as {"t": {"obligation": {{"deliver": "masked"}, {"approval": {"group": "sec"}}}}}
	d.obligations.deliver == "masked"
	d.obligations.approval == {"groups": ["sec"]}
}

test_an_unknown_delivery_is_not_plain if {
	d := data.gateway.decision with input as call
		with data.policy.obligations as {"t": {"obligation": {{"deliver": "hidden"}}}}
	d.obligations.deliver == "hidden"
}

test_a_bound_of_nothing_loosens_nothing if {
	d := data.gateway.decision with input as call
		with data.policy.obligations as {"t": {"obligation": {{"max_ttl_s": 0, "wrap_ttl_s": 0}, {"max_ttl_s": 60, "wrap_ttl_s": 30}}}}
	d.obligations.max_ttl_s == 60
	d.obligations.wrap_ttl_s == 30
}

test_bounds_of_zero_set_none_and_strange_ones_are_passed_on if {
	bounded := decide(call).obligations.max_ttl_s with duties as {"kv.read": {"max_ttl_s": 0}}
	bounded == 0
	data.gateway.least([0, 5]) == 5
	data.gateway.least([0]) == 0
	data.gateway.least([-5, 5]) == -5
}
