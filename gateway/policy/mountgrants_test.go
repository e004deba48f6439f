package policy_test

import (
	"fmt"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
)

// mounted is a catalogue with several mounts of KV and transit.
func mounted(t *testing.T) *op.Catalogue {
	t.Helper()
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", More: map[string][]op.Mount{
		"kv":      {{Path: "team-kv"}, {Path: "team/kv", Prefix: "people/{subject}"}},
		"transit": {{Path: "transit2"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A grant is for the one mount that it names, the default one where it names none.
func TestGrantsOfMounts(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `
version: 2
grants:
  subjects:
    agent_api:
      kv:
        plain: {}
        "secret:named": {}
        "team-kv:shared": {}
        "team/kv:deep/x": {}
        "team-kv:wild/+": {}
        "team-kv:all/*": {}
        "+/top": {}
        "team-kv:{principal}/room": {}
      transit:
        one: {}
        "transit2:two": {}
`})
	e := open(t, policy.Config{Dir: dir, Catalogue: mounted(t)})
	for _, tt := range []struct {
		op, mount, path string
		allow           bool
	}{
		{"kv.read", "secret", "plain/x", true},
		{"kv.read", "team-kv", "plain/x", false},
		{"kv.read", "team/kv", "plain/x", false},
		{"kv.read", "secret", "named/x", true},
		{"kv.read", "team-kv", "named/x", false},
		{"kv.read", "team-kv", "shared/x", true},
		{"kv.read", "team-kv", "shared0/x", false},
		{"kv.read", "secret", "shared/x", false},
		{"kv.read", "secret", "team-kv:shared/x", false}, // a name in the default mount that looks like it
		{"kv.read", "team/kv", "shared/x", false},
		{"kv.read", "team/kv", "deep/x/y", true},
		{"kv.read", "team/kv", "deep/z", false},
		{"kv.read", "secret", "team/kv:deep/x", false},
		{"kv.read", "team-kv", "wild/a", true},
		{"kv.read", "team-kv", "wild/a/b", false},
		{"kv.read", "secret", "wild/a", false},
		{"kv.read", "secret", "team-kv:wild/a", false},
		{"kv.read", "team-kv", "all/a/b", true},
		{"kv.read", "team/kv", "all/a/b", false},
		{"kv.read", "secret", "a/top", true},
		{"kv.read", "team-kv", "a/top", false},
		{"kv.read", "secret", "team-kv:a/top", false},
		{"kv.read", "team-kv", "agent_api/room/x", true},
		{"kv.read", "secret", "agent_api/room/x", false},
		{"kv.read", "secret", "mcp/agent_api/x", true},
		{"kv.read", "team-kv", "mcp/agent_api/x", true},
		{"kv.read", "team-kv", "mcp/agent_api2/x", false},
		{"kv.read", "team/kv", "mcp/agent_api/x", false}, // its prefix is another one
		{"kv.read", "team/kv", "people/agent_api/x", true},
		{"kv.read", "secret", "people/agent_api/x", false},
		{"transit.encrypt", "transit", "one", true},
		{"transit.encrypt", "transit2", "one", false},
		{"transit.encrypt", "transit2", "two", true},
		{"transit.encrypt", "transit", "two", false},
	} {
		args := fmt.Sprintf(`{"path":%q}`, tt.path)
		if tt.op == "transit.encrypt" {
			args = fmt.Sprintf(`{"key":%q,"plaintext":"aGk="}`, tt.path)
		}
		b, err := mounted(t).Bind(&op.Request{Op: tt.op, Args: []byte(args), Caller: agent(t), Mount: tt.mount, Absolute: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second answer may be a kept one
			if d := e.Decide(t.Context(), b); d.Allow != tt.allow {
				t.Errorf("%s %s %s: allowed %v, %v", tt.op, tt.mount, tt.path, d.Allow, d.Reasons)
			}
		}
	}
}

// A caller without a tenant does not own what a prefix with tenants names, nor one with a
// tenant what a prefix without them does.
func TestPrefixOfAMount(t *testing.T) {
	for _, tt := range []struct{ prefix, tenant, want string }{
		{"", "", "mcp/a"},
		{"{tenant}/{subject}", "acme", "acme/a"},
		{"{tenant}/{subject}", "", ""},
		{"{subject}", "", "a"},
		{"{subject}", "acme", ""},
	} {
		own, _ := call.ParsePath("mcp/a")
		c := &call.Caller{Subject: "a", Tenant: tt.tenant, Prefix: own}
		if got := (op.Mount{Path: "m", Prefix: tt.prefix}).Own(c).String(); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}
