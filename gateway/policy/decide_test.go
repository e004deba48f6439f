package policy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
)

const dev = "../../fixtures/policy-dev"

func TestDecide(t *testing.T) {
	e := open(t, policy.Config{Dir: dev})
	other := agent(t)
	other.Subject = "agent_other"
	tenant := agent(t)
	tenant.Tenant = "acme"
	nobody := agent(t)
	nobody.Prefix = call.Path{}
	tests := []struct {
		name string
		b    *op.Bound
		want call.Code // empty for allowed
	}{
		{"own secret", bind(t, agent(t), "kv.read", `{"path":"app"}`), ""},
		{"own prefix listed", bind(t, agent(t), "kv.list", `{}`), ""},
		{"sibling that begins with the prefix", full(t, agent(t), "kv.read", `{"path":"mcp/agent_api2/app"}`), call.Forbidden},
		{"above the prefix", full(t, agent(t), "kv.list", `{"prefix":"mcp"}`), call.Forbidden},
		{"the mount's root", full(t, agent(t), "kv.list", `{}`), call.Forbidden},
		{"a prefix that is empty owns nothing", bind(t, nobody, "kv.read", `{"path":"app"}`), call.Forbidden},
		{"missing scope alone", bind(t, agent(t, "read"), "kv.write", `{"path":"app","data":{}}`), call.InsufficientScope},
		{"missing scope and resource", full(t, agent(t, "read"), "kv.write", `{"path":"x","data":{}}`), call.Forbidden},
		{"no scope for who one is", bind(t, agent(t, []string{}...), "self.whoami", `{}`), ""},
		{"granted key", bind(t, agent(t), "transit.hmac", `{"key":"mcp","input":"aGk="}`), ""},
		{"key that is not granted", bind(t, agent(t), "transit.hmac", `{"key":"other","input":"aGk="}`), call.Forbidden},
		{"another's key", bind(t, other, "transit.hmac", `{"key":"mcp","input":"aGk="}`), call.Forbidden},
		{"the same name in a tenant", bind(t, tenant, "transit.hmac", `{"key":"mcp","input":"aGk="}`), call.Forbidden},
		{"chance names no key", bind(t, other, "transit.random", `{}`), ""},
		{"granted database role", bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`), ""},
		{"database role that is not", bind(t, agent(t), "db.issue_creds", `{"role":"admin"}`), call.Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := e.Decide(t.Context(), tt.b)
			if d.Allow != (tt.want == "") || d.Code != tt.want {
				t.Fatalf("got allow %v, code %q, reasons %v; want code %q", d.Allow, d.Code, d.Reasons, tt.want)
			}
			if d.Grant.Valid() != d.Allow {
				t.Errorf("grant valid %v, allow %v", d.Grant.Valid(), d.Allow)
			}
			if d.ID == "" || d.Revision == "" || d.Tier == "" {
				t.Errorf("incomplete: %+v", d)
			}
			if again := e.Decide(t.Context(), tt.b); again.Allow != d.Allow || again.Code != d.Code || again.ID == d.ID {
				t.Errorf("asked again: %+v, before: %+v", again, d)
			}
		})
	}
}

func TestTermsOfAGrant(t *testing.T) {
	e := open(t, policy.Config{Dir: dev})
	b := bind(t, agent(t), "kv.read", `{"path":"app","version":3}`)
	d := e.Decide(t.Context(), b)
	terms := d.Grant.Terms()
	if terms.Op != "kv.read" || terms.Resource != b.Resource || terms.DecisionID != d.ID || d.Grant.Caller() != b.Caller {
		t.Errorf("terms %+v of %+v", terms, b.Resource)
	}
}

// team writes a policy directory.
func team(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestARequestMayAskForTighterDeliveryOnly(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `{obligations: {kv.read: {deliver: masked}, kv.list: {deliver: wrapped, wrap_ttl_s: 60}}}`})
	e := open(t, policy.Config{Dir: dir})
	tests := []struct {
		op    string
		asked call.Deliver
		want  call.Deliver
	}{
		{"kv.metadata", call.Masked, call.Masked},
		{"kv.metadata", "", call.Plain},
		{"kv.read", call.Plain, call.Masked},
		{"kv.read", call.Wrapped, call.Wrapped},
		{"kv.list", call.Plain, call.Wrapped},
		{"kv.list", call.Masked, call.Wrapped},
	}
	for _, tt := range tests {
		args := `{"path":"a"}`
		if tt.op == "kv.list" {
			args = `{}`
		}
		b := bind(t, agent(t), tt.op, args)
		b.Request.Deliver, b.Request.WrapTTL = tt.asked, 5*time.Minute
		d := e.Decide(t.Context(), b)
		if d.Obligations.Deliver != tt.want || d.Grant.Terms().Deliver != tt.want {
			t.Errorf("%s asked %q: got %q, want %q", tt.op, tt.asked, d.Obligations.Deliver, tt.want)
		}
		masked := tt.op == "kv.read" || tt.asked == call.Masked
		if d.Obligations.Masked != masked || d.Grant.Terms().Masked != masked {
			t.Errorf("%s asked %q: masked %v, want %v", tt.op, tt.asked, d.Obligations.Masked, masked)
		}
		if tt.op == "kv.list" && d.Obligations.WrapTTL != time.Minute {
			t.Errorf("wrapped for %v, want the policy's minute", d.Obligations.WrapTTL)
		}
	}
}

func TestTheGatewayChecksWhatThePolicySays(t *testing.T) {
	tests := []struct {
		name, data string
		tier       string // that the credential names
		config     policy.Config
	}{
		{"unknown tier", `{}`, "none", policy.Config{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Dir = team(t, map[string]string{"data.yaml": tt.data})
			c := agent(t)
			c.Tier = tt.tier
			d := open(t, tt.config).Decide(t.Context(), bind(t, c, "kv.read", `{"path":"a"}`))
			if d.Allow || d.Grant.Valid() || d.Code != call.PolicyError || d.Reasons[0].Code != "policy.bad_decision" {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// Approvals do not exist yet, so what asks for one would deny every such call.
func TestAnApprovalIsRefusedWhenItIsLoaded(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `{obligations: {kv.read: {approval: {group: sec}}}}`})
	if _, err := policy.Open(policy.Config{Dir: dir, Catalogue: catalogue(t)}); err == nil || !strings.Contains(err.Error(), "approval") {
		t.Errorf("got %v", err)
	}
}

// What the policy asks for and what is not available is reported, and the policy serves.
func TestUnfulfilled(t *testing.T) {
	there := errors.New("no such transform")
	dir := team(t, map[string]string{"data.yaml": "obligations: {kv.read: {transforms: [{name: none}, {name: none}]}}"})
	var logged bytes.Buffer
	e := open(t, policy.Config{
		Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		Transform: func(op, name string, _ map[string]any) error {
			if op == "kv.read" && name == "none" {
				return there
			}
			return nil
		},
	})
	if s := e.Status(); len(s.Unfulfilled) != 1 || !strings.Contains(s.Unfulfilled[0], "data.yaml:1: transform \"none\"") || s.LastError != "" {
		t.Errorf("got %+v", s)
	}
	if !strings.Contains(logged.String(), "no such transform") {
		t.Errorf("the log says %s", logged.String())
	}
	there = nil // as when the operator's modules have been loaded again
	if s := e.Status(); len(s.Unfulfilled) != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestCaps(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `{grants: {subjects: {agent_api: {db: {readonly: {max_ttl_s: 7200}, short: {max_ttl_s: 60}, free: {}}}}}}`})
	e := open(t, policy.Config{Dir: dir, MaxTTL: time.Hour})
	for role, want := range map[string]time.Duration{"readonly": time.Hour, "short": time.Minute, "free": time.Hour} {
		d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"`+role+`"}`))
		if !d.Allow || d.Grant.Terms().MaxTTL != want {
			t.Errorf("%s: allow %v, cap %v, want %v", role, d.Allow, d.Grant.Terms().MaxTTL, want)
		}
	}
}

func TestOutOfTime(t *testing.T) {
	e := open(t, policy.Config{Timeout: time.Nanosecond, CacheSize: -1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the evaluation is cancelled at its first look, whatever the machine does
	d := e.Decide(ctx, bind(t, agent(t), "kv.read", `{"path":"a"}`))
	if d.Allow || d.Code != call.PolicyTimeout || d.Grant.Valid() {
		t.Errorf("got %+v", d)
	}
}

func TestTiersAndCosts(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `
tiers: {gold: {requests: 600, window_s: 10, cost: {db.issue_creds: 7}}}
grants: {subjects: {agent_api: {tier: gold, db: {readonly: {}}}}}`})
	e := open(t, policy.Config{Dir: dir, StandardRequests: 5, StandardWindow: time.Second})
	d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`))
	if d.Tier != "gold" || d.Cost != 7 {
		t.Errorf("got tier %s, cost %d", d.Tier, d.Cost)
	}
	if d := e.Decide(t.Context(), full(t, agent(t), "kv.read", `{"path":"x"}`)); d.Allow || d.Tier != "gold" || d.Cost != 1 {
		t.Errorf("a denial: got tier %s, cost %d", d.Tier, d.Cost)
	}
	batch := `{"key":"k","items":[` + strings.TrimSuffix(strings.Repeat(`{"plaintext":"YQ=="},`, 101), ",") + `]}`
	for range 2 { // the second answer comes from the cache
		if d := e.Decide(t.Context(), full(t, agent(t), "transit.encrypt", batch)); d.Cost != 11 {
			t.Errorf("a batch of 101 items: cost %d, want 11", d.Cost)
		}
	}
	if tier, ok := e.Tier("gold"); !ok || tier.Burst != 600 || tier.Window != 10*time.Second {
		t.Errorf("got %+v", tier)
	}
	if tier, ok := e.Tier("standard"); !ok || tier.Requests != 5 || tier.Burst != 5 || tier.Window != time.Second {
		t.Errorf("got %+v", tier)
	}
	if _, ok := e.Tier("none"); ok {
		t.Error("a tier that does not exist exists")
	}
}

func TestTheTierIsTheCallers(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": `
tiers: {own: {requests: 1, window_s: 1}, asked: {requests: 1, window_s: 1}, role: {requests: 1, window_s: 1}, theirs: {requests: 1, window_s: 1}}
grants: {subjects: {agent_api: {tier: own}}, roles: {ci: {tier: role}, x: {}}}
tenants: {acme: {subjects: {agent_api: {tier: theirs}}}}`})
	e := open(t, policy.Config{Dir: dir})
	tests := []struct {
		subject, tenant, asked string
		roles                  []string
		want                   string
	}{
		{"agent_api", "", "asked", []string{"ci"}, "own"},
		{"b", "", "asked", []string{"ci"}, "asked"},
		{"b", "", "", []string{"x", "ci"}, "role"},
		{"b", "", "", []string{"x"}, "standard"},
		{"b", "acme", "", []string{"ci"}, "standard"},
		{"agent_api", "acme", "", nil, "theirs"},
	}
	for _, tt := range tests {
		c := agent(t)
		c.Subject, c.Tenant, c.Tier, c.Roles = tt.subject, tt.tenant, tt.asked, tt.roles
		for range 2 { // the second comes from the cache
			if d := e.Decide(t.Context(), bind(t, c, "kv.read", `{"path":"a"}`)); d.Tier != tt.want || !d.Allow {
				t.Errorf("%+v: got %s, allow %v", tt, d.Tier, d.Allow)
			}
		}
	}
}

func TestListsAreDecisions(t *testing.T) {
	e := open(t, policy.Config{Dir: dev})
	cat := catalogue(t)
	stranger := agent(t)
	stranger.Subject = "stranger"
	for _, c := range []*call.Caller{agent(t), agent(t, "read"), agent(t, []string{}...), stranger} {
		for _, o := range cat.All() {
			names, named := e.Names(t.Context(), c, o)
			if named && (len(names) > 0) != e.Callable(t.Context(), c, o) {
				t.Errorf("%s %s: names %v, callable %v", c.Subject, o.Name, names, e.Callable(t.Context(), c, o))
			}
		}
	}
	callable := func(c *call.Caller, name string) bool { return e.Callable(t.Context(), c, cat.Get(name)) }
	tests := []struct {
		c    *call.Caller
		op   string
		want bool
	}{
		{agent(t), "kv.write", true},
		{agent(t, "read"), "kv.write", false},
		{agent(t, "read"), "kv.read", true},
		{agent(t), "transit.encrypt", true},
		{stranger, "transit.encrypt", false},
		{stranger, "transit.random", true},
		{stranger, "db.issue_creds", false},
		{agent(t, []string{}...), "self.whoami", true},
		{agent(t, []string{}...), "kv.read", false},
	}
	for _, tt := range tests {
		if got := callable(tt.c, tt.op); got != tt.want {
			t.Errorf("%s %v %s: got %v, want %v", tt.c.Subject, tt.c.Scopes, tt.op, got, tt.want)
		}
	}
	if names, ok := e.Names(t.Context(), agent(t), cat.Get("transit.encrypt")); !ok || fmt.Sprint(names) != "[mcp signing]" {
		t.Errorf("got %v", names)
	}
	if _, ok := e.Names(t.Context(), agent(t), cat.Get("kv.read")); ok {
		t.Error("paths of secrets are not named by data")
	}
}

func TestExplainIsForOneself(t *testing.T) {
	e := open(t, policy.Config{Dir: dev, Keep: 2})
	d := e.Decide(t.Context(), full(t, agent(t), "kv.read", `{"path":"x"}`))
	x, err := e.Explain(t.Context(), agent(t), d.ID)
	if err != nil || x.Allow || x.Code != "forbidden" || len(x.Reasons) != 1 || x.Reasons[0].Code != "resource.denied" || x.Reasons[0].Rule != "" {
		t.Errorf("got %+v, %v", x, err)
	}
	other := agent(t)
	other.Subject = "other"
	if _, err := e.Explain(t.Context(), other, d.ID); !call.Is(err, call.NotFound) {
		t.Errorf("another's decision: got %v", err)
	}
	if _, err := e.Explain(t.Context(), agent(t), "none"); !call.Is(err, call.NotFound) {
		t.Errorf("a decision that never was: got %v", err)
	}
	if _, steps, err := e.Trace(t.Context(), d.ID); err != nil || len(steps) < 3 {
		t.Errorf("trace of %d steps, %v", len(steps), err)
	}
	for range 2 {
		e.Decide(t.Context(), bind(t, agent(t), "kv.list", `{}`))
	}
	if _, err := e.Explain(t.Context(), agent(t), d.ID); !call.Is(err, call.NotFound) {
		t.Errorf("a decision that is too old: got %v", err)
	}
}

// A policy is traced while it is active or the last one. Of what older ones decided there is
// the record, and nothing that would keep their data in memory.
func TestOldPoliciesAreLetGo(t *testing.T) {
	e := open(t, policy.Config{})
	var ids []string
	for i := range 4 {
		raw := map[string]any{"grants": map[string]any{"subjects": map[string]any{fmt.Sprintf("s%d", i): map[string]any{}}}}
		if err := policy.Take(t.Context(), &bundle.Bundle{Place: "dir", Data: raw}, e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.Decide(t.Context(), bind(t, agent(t), "kv.list", `{}`)).ID)
	}
	for i, id := range ids {
		r, steps, err := e.Trace(t.Context(), id)
		if err != nil || r.ID != id || r.Input["action"] == nil || (len(steps) > 0) != (i >= 2) {
			t.Errorf("decision %d: %d steps of %+v, %v", i, len(steps), r, err)
		}
		if _, err := e.Explain(t.Context(), agent(t), id); err != nil {
			t.Errorf("decision %d: %v", i, err)
		}
	}
}

func ExampleEngine_Decide() {
	catalogue, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := policy.Open(policy.Config{Catalogue: catalogue, Dir: dev, Timeout: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	prefix, _ := call.ParsePath("mcp/agent_api")
	c := &call.Caller{Subject: "agent_api", Prefix: prefix, Scopes: []string{"read"}}
	for _, r := range []op.Request{
		{Op: "kv.read", Args: []byte(`{"path":"app"}`), Caller: c},
		{Op: "kv.delete", Args: []byte(`{"path":"app"}`), Caller: c},
	} {
		b, err := catalogue.Bind(&r)
		if err != nil {
			fmt.Println(err)
			return
		}
		d := e.Decide(context.Background(), b)
		fmt.Println(r.Op, d.Allow, d.Code, d.RequiredScopes)
	}
	// Output:
	// kv.read true  [read]
	// kv.delete false insufficient_scope [delete]
}

// TestListsOfWhoLeaves: a list that was not made because its caller had left is not kept
// for the caller's next request.
func TestListsOfWhoLeaves(t *testing.T) {
	e := open(t, policy.Config{Dir: dev, Now: at})
	read := catalogue(t).Get("kv.read")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_ = e.Callable(ctx, agent(t), read)
	if !e.Callable(t.Context(), agent(t), read) {
		t.Error("what was not worked out is kept")
	}
}
