package policy_test

import (
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
)

func TestGrantsWithWildcardsAndTemplates(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `
version: 2
grants:
  subjects:
    agent_api:
      kv:
        apps/+/config: {ops: [kv.read]}
        docs/*: {ops: [kv.read, kv.list]}
        homes/{principal}: {}
        by-role/{role}/x: {}
        by-claim/{claims.team}: {}
        shared: {ops: [kv.read]}
        shared/team1: {ops: [kv.write]}
      transit:
        "{principal}-key": {}
  roles:
    ci: {kv: {"roles/{role}": {}}}
`})
	e := open(t, policy.Config{Dir: dir})
	c := agent(t)
	c.Roles, c.Claims = []string{"ci"}, map[string]any{"team": "blue", "odd": "a/b"}
	read := func(p string) string { return `{"path":"` + p + `"}` }
	tests := []struct {
		op, args string
		allow    bool
	}{
		{"kv.read", read("apps/x/config"), true},
		{"kv.read", read("apps/x/other"), false},
		{"kv.read", read("apps/x/y/config"), false},
		{"kv.read", read("apps/x/config/deeper"), false},
		{"kv.write", `{"path":"apps/x/config","data":{}}`, false},
		{"kv.read", read("docs/a/b"), true},
		{"kv.read", read("docs"), false},
		{"kv.list", `{"prefix":"docs"}`, true},
		{"kv.read", read("docs2/a"), false},
		{"kv.read", read("homes/agent_api/x"), true},
		{"kv.read", read("homes/other/x"), false},
		{"kv.read", read("homes/{principal}/x"), false},
		{"kv.read", read("by-role/ci/x"), true},
		{"kv.read", read("by-role/admin/x"), false},
		{"kv.read", read("by-claim/blue"), true},
		{"kv.read", read("by-claim/red"), false},
		{"kv.read", read("roles/ci/x"), true},
		{"kv.read", read("shared/team1/x"), true},
		{"kv.write", `{"path":"shared/team1/x","data":{}}`, true},
		{"kv.write", `{"path":"shared/team10/x","data":{}}`, false},
		{"kv.read", read("shared/team10/x"), true},
	}
	for _, tt := range tests {
		if d := e.Decide(t.Context(), full(t, c, tt.op, tt.args)); d.Allow != tt.allow {
			t.Errorf("%s %s: allowed %v, %v", tt.op, tt.args, d.Allow, d.Reasons)
		}
	}
	if names, ok := e.Names(t.Context(), c, catalogue(t).Get("transit.encrypt")); !ok || len(names) != 1 || names[0] != "agent_api-key" {
		t.Errorf("keys %v, %v", names, ok)
	}
}

// TestARoleNamedLikeItsCaller: {role} in the grants of a role is that role, also when a
// subject has the same name, and never another that the caller has.
func TestARoleNamedLikeItsCaller(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `
version: 2
grants:
  roles:
    agent_api: {kv: {"roles/{role}": {}}}
`})
	e := open(t, policy.Config{Dir: dir})
	c := agent(t)
	c.Roles = []string{"agent_api", "admin"}
	for path, allow := range map[string]bool{"roles/agent_api/x": true, "roles/admin/x": false} {
		if d := e.Decide(t.Context(), full(t, c, "kv.read", `{"path":"`+path+`"}`)); d.Allow != allow {
			t.Errorf("%s: allowed %v, %v", path, d.Allow, d.Reasons)
		}
	}
	for _, g := range e.Granted(c, time.Now()) {
		if g.Name == "roles/admin" {
			t.Error("what no call may have is listed as granted")
		}
	}
}

func TestATeamRulesOverItsOwnPart(t *testing.T) {
	owns := "{teams: {t: {owns: {kv: [mcp/agent_api/cards]}}}}"
	for name, tt := range map[string]struct {
		data    string
		refused bool
	}{
		"of its own part":       {owns, false},
		"global":                {"{teams: {t: {owns: {kv: [mcp/agent_api/cards]}, global: true}}}", true},
		"without a part":        {"{}", true},
		"where others have one": {"{teams: {u: {owns: {kv: [mcp/x]}}}}", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t, policy.Config{Dir: team(t, refuses(tt.data, `input.action.effect == "read"`, `{"action": {"engine": "kv", "effect": "read"}}`))})
			if d := e.Decide(t.Context(), bind(t, agent(t), "kv.read", `{"path":"cards/1"}`)); d.Allow {
				t.Error("what it owns is allowed")
			}
			if d := e.Decide(t.Context(), bind(t, agent(t), "kv.read", `{"path":"other"}`)); d.Allow == tt.refused {
				t.Errorf("what it does not own: allowed %v", d.Allow)
			}
		})
	}
}

func TestOneRuleInDryRun(t *testing.T) {
	files := refuses("{}", `input.action.effect == "read"`, `{"action": {"engine": "kv", "effect": "read"}}`)
	files["t.rego"] = strings.ReplaceAll(files["t.rego"], `"rule": "t.r"}`, `"rule": "t.r", "mode": "dry_run"}`)
	e := open(t, policy.Config{Dir: team(t, files)})
	before := policy.DryRuns("t.r")
	for range 2 {
		d := e.Decide(t.Context(), bind(t, agent(t), "kv.read", `{"path":"a"}`))
		if !d.Allow || d.Obligations.Deliver != call.Plain {
			t.Errorf("got %+v", d)
		}
	}
	if n := policy.DryRuns("t.r") - before; n != 2 {
		t.Errorf("counted %d times", n)
	}
}
