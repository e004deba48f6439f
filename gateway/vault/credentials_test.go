package vault_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/vaulttest"
)

// byRole lets every caller at its own secrets, those with the role at the team's too,
// and services at nothing but the team's.
func byRole(c *call.Caller, _ string) (callers.Policies, error) {
	own, err := agentPolicy(c, "")
	team := `path "secret/data/team/*" { capabilities = ["create", "read", "update"] }`
	switch {
	case c.Kind == "service":
		own.Additional, own.Replaces = team, true
	case slices.Contains(c.Roles, "team"):
		own.Additional = team
	}
	return own, err
}

func withRoles(subject, kind string, roles ...string) *call.Caller {
	c := caller(subject)
	c.Kind, c.Roles = kind, roles
	return c
}

// putTeam writes a secret of the team's, with a decision that allows it.
func putTeam(t *testing.T, cl *vault.Client, c *call.Caller) error {
	t.Helper()
	g := call.Mint(c, call.Terms{Op: "kv.write", Resource: call.Resource{Mount: "secret"}})
	return open(t, cl, g).Put(t.Context(), "data/team/x", map[string]any{"data": map[string]string{"a": "1"}}, nil)
}

// TestCredentialsOfOneSubject uses three credentials of one subject in turns: each may
// in Vault what it is to, and none changes what another may.
func TestCredentialsOfOneSubject(t *testing.T) {
	v := vaulttest.Start(t)
	ch := children()
	ch.PolicyFor, ch.TTL = byRole, 2*time.Second
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: ch, Janitor: leases.Rules{Every: 20 * time.Millisecond}})
	run(t, cl)
	plain, team, service := withRoles("one", "agent"), withRoles("one", "agent", "team"), withRoles("one", "service")
	start := v.Count("sys/policies/acl/mcp-agent-one")
	for range 200 {
		for name, got := range map[string]struct {
			err    error
			denied bool
		}{
			"plain, own":    {err: put(t, cl, plain, "x")},
			"plain, team":   {err: putTeam(t, cl, plain), denied: true},
			"team, own":     {err: put(t, cl, team, "x")},
			"team, team":    {err: putTeam(t, cl, team)},
			"service, own":  {err: put(t, cl, service, "x"), denied: true},
			"service, team": {err: putTeam(t, cl, service)},
		} {
			if got.denied != call.Is(got.err, call.Forbidden) || !got.denied && got.err != nil {
				t.Fatalf("%s: %v", name, got.err)
			}
		}
	}
	writes := 0
	for _, e := range v.Audit() {
		if e.Type == "request" && strings.HasPrefix(e.Request.Path, "sys/policies/acl/mcp-agent-one") && e.Request.Operation != "read" {
			writes++
		}
	}
	if writes != 2 || start != 0 {
		t.Errorf("policies were written %d times, want twice: the subject's and the role's", writes)
	}
	if err := cl.RevokeWhere(t.Context(), func(c *call.Caller) bool { return c.Kind == "service" || len(c.Roles) > 0 }); err != nil {
		t.Fatal(err)
	}
	if left := policiesOf(v, "mcp-agent-one"); !slices.Equal(left, []string{"mcp-agent-one"}) {
		t.Errorf("policies after two of three credentials have ended: %q", left)
	}
	if err := put(t, cl, plain, "x"); err != nil {
		t.Errorf("the third credential: %v", err)
	}
	if err := cl.RevokeCaller(t.Context(), plain.Key()); err != nil {
		t.Fatal(err)
	}
	if left := policiesOf(v, "mcp-agent-one"); len(left) != 0 {
		t.Errorf("policies after the kill: %q", left)
	}
}

// policiesOf are the policies whose names begin with a text.
func policiesOf(v *vaulttest.Vault, prefix string) []string {
	var list struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	v.Do(vaulttest.Request{Method: "LIST", Path: "sys/policies/acl"}, &list)
	return slices.DeleteFunc(list.Data.Keys, func(n string) bool { return !strings.HasPrefix(n, prefix) })
}

// TestPolicyOfNothing: who may do nothing has no policy and gets no token, and a
// policy that is left over goes.
func TestPolicyOfNothing(t *testing.T) {
	v := vaulttest.Start(t)
	var nothing, role atomic.Bool
	ch := children()
	ch.PolicyFor = func(c *call.Caller, _ string) (callers.Policies, error) {
		p, err := agentPolicy(c, "")
		if role.Load() {
			p.Additional = fmt.Sprintf("# %s\n%s", c.Subject, p.Subject)
		}
		if nothing.Load() {
			p = callers.Policies{}
		}
		return p, err
	}
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: ch, Janitor: leases.Rules{Every: 20 * time.Millisecond}})
	run(t, cl)
	c := caller("empty")
	role.Store(true)
	if err := put(t, cl, c, "x"); err != nil {
		t.Fatal(err)
	}
	if got := policiesOf(v, "mcp-agent-empty"); len(got) != 2 {
		t.Errorf("policies: %q, want the subject's and the credential's", got)
	}
	role.Store(false)
	e2e.Eventually(t, "the credential's policy to go", func() bool { return len(policiesOf(v, "mcp-agent-empty")) == 1 })
	nothing.Store(true)
	e2e.Eventually(t, "every policy to go", func() bool { return len(policiesOf(v, "mcp-agent-empty")) == 0 })
	if err := put(t, cl, c, "x"); !call.Is(err, call.Forbidden) {
		t.Errorf("write: got %v, want forbidden", err)
	}
}

// TestSubjectOfAMappedName: a subject with "~" of its own is told from one whose
// capitals are lost.
func TestSubjectOfAMappedName(t *testing.T) {
	for _, key := range []string{"/repo~3aacme", "acme/repo~3aacme", "/a~~0123", "/_~-~2e"} {
		tenant, subject, ok := callers.SubjectOf("mcp-agent-", callers.PolicyName("mcp-agent-", key))
		if !ok || tenant+"/"+subject != key {
			t.Errorf("%s: got %s/%s, %v", key, tenant, subject, ok)
		}
	}
	if _, _, ok := callers.SubjectOf("mcp-agent-", callers.PolicyName("mcp-agent-", "/Repo~3aacme")); ok {
		t.Error("capitals were told")
	}
}

func TestSubjectOf(t *testing.T) {
	for name, want := range map[string]string{
		"mcp-agent-app": "/app", "mcp-agent-acme:app": "acme/app", "mcp-agent-app+0123": "/app",
		"mcp-agent-app~0c12bce0dc4b11ef": "", "other-app": "", "mcp-agent-": "",
	} {
		tenant, subject, ok := callers.SubjectOf("mcp-agent-", name)
		if got := tenant + "/" + subject; ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, ok, want)
		}
	}
}

// leaseByCredential: a lease ends with the credential that it was issued to and not
// with another one of the same subject.
func leaseByCredential(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Renew: true, Allowed: func(_ context.Context, c *call.Caller, _ leases.Held) bool {
		return slices.Contains(c.Roles, "dba")
	}})
	dba, plain := withRoles("two", "agent", "dba"), withRoles("two", "agent")
	dba.KeyID, plain.KeyID = "k1", "k2"
	u, err := issue(t, cl, dba, 0)
	must(t, u, err)
	for range 20 { // the other credential is here all the time, and looked at
		if err := put(t, cl, plain, "x"); err != nil {
			t.Fatal(err)
		}
		retry.Sleep(t.Context(), 20*time.Millisecond)
	}
	if !w.works(t, u) {
		t.Fatal("the credentials ended because another credential of the subject may not have them")
	}
	if err := cl.RevokeWhere(t.Context(), func(c *call.Caller) bool { return c.KeyID == "k1" }); err != nil {
		t.Fatal(err)
	}
	if w.works(t, u) {
		t.Error("the credentials outlived the key that they were issued to")
	}
	if err := put(t, cl, plain, "x"); err != nil {
		t.Errorf("the other credential: %v", err)
	}
}

// endAfterRestart: who was shut out while the gateway was down loses its leases.
func endAfterRestart(t *testing.T, w world) {
	c := withRoles("restarted", "agent")
	before := w.client(t, leases.Rules{Renew: true})
	u, err := issue(t, before, c, 0)
	must(t, u, err)
	if err := before.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.client(t, leases.Rules{Renew: true, Ended: func(c *call.Caller) bool { return c.Subject == "restarted" }})
	e2e.Eventually(t, "the credentials to end", func() bool { return !w.works(t, u) })
}

// killStray: a lease of which nobody knows, because Vault's answer was lost, ends with
// the kill switch as well.
func killStray(t *testing.T, w world) {
	p := vaulttest.StartProxy(t, w.Addr)
	through := w
	through.Vault = &vaulttest.Vault{Vault: &stack.Vault{Addr: p.Addr, RoleID: w.RoleID, SecretID: w.SecretID}}
	cl := through.client(t, leases.Rules{Renew: true})
	c := caller("stray")
	before := w.users(t)
	u, err := issue(t, cl, c, 0)
	must(t, u, err)
	p.Break(vaulttest.Fault{Match: "/v1/database/creds/", Cut: true, Times: 1})
	if _, err := issue(t, cl, c, 0); !call.Is(err, call.OutcomeUnknown) {
		t.Fatalf("issue: got %v, want outcome_unknown", err)
	}
	p.Heal()
	made := slices.DeleteFunc(w.users(t), func(n string) bool { return slices.Contains(before, n) })
	if len(made) != 2 {
		t.Fatalf("made the users %q, want two", made)
	}
	if err := cl.RevokeCaller(t.Context(), c.Key()); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "both users to end", func() bool {
		return !slices.ContainsFunc(w.users(t), func(n string) bool { return slices.Contains(made, n) })
	})
}

// users are the database users that Vault has made.
func (w world) users(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "psql", "-tAc", "select rolname from pg_roles where rolname like 'v-%'", w.db.DSN()).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
