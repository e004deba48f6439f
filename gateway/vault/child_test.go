package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/vaulttest"
)

// agentPolicy lets a caller at its own secrets and at what the tests need.
func agentPolicy(c *call.Caller, _ string) (callers.Policies, error) {
	if c.Kind == "banned" {
		return callers.Policies{}, errors.New("not allowed anything")
	}
	return callers.Policies{Subject: fmt.Sprintf(`
path "secret/data/%[1]s/*"   { capabilities = ["create", "read", "update", "patch", "delete"] }
path "ssh/creds/otp"         { capabilities = ["update"] }
path "database/creds/readonly" { capabilities = ["read"] }
`, c.Prefix)}, nil
}

func children() callers.Config { return callers.Config{Enabled: true, PolicyFor: agentPolicy} }

func TestPolicyName(t *testing.T) {
	cases := map[string]string{
		"/agent_api":  "mcp-agent-agent_api",
		"acme/app":    "mcp-agent-acme:app",
		"/App":        "mcp-agent-app~0c12bce0dc4b11ef",
		"Acme/app":    "mcp-agent-acme:app~",
		"/a@example.": "mcp-agent-a@example.",
		// What looks like the name of App and its hash is another subject's.
		"/app~0c12bce0dc4b11ef": "mcp-agent-app~0c12bce0dc4b11ef~",
		"/repo~3aacme":          "mcp-agent-repo~",
	}
	seen := map[string]string{}
	for key, want := range cases {
		got := callers.PolicyName("mcp-agent-", key)
		if prefix, _, hashed := strings.Cut(want, "~"); hashed && !strings.HasPrefix(got, prefix+"~") || !hashed && got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
		if other := seen[got]; other != "" || got != strings.ToLower(got) {
			t.Errorf("%s: %s is also %q, or not in lower case", key, got, other)
		}
		seen[got] = key
	}
}

// TestCallersTokens lets a hundred callers make ten thousand calls and looks at
// what Vault has seen of them.
func TestCallersTokens(t *testing.T) {
	const callers, calls = 100, 10_000
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: children()})
	run(t, cl)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < calls; n = int(next.Add(1)) - 1 {
				c := caller(fmt.Sprintf("agent%d", n%callers))
				if n < callers {
					if err := put(t, cl, c, c.Subject); err != nil {
						t.Errorf("%s writes: %v", c.Subject, err)
					}
					continue
				}
				if got, err := read(t, cl, c); err != nil && !call.Is(err, call.NotFound) || err == nil && got != c.Subject {
					t.Errorf("%s reads: %q, %v", c.Subject, got, err)
				}
			}
		})
	}
	wg.Wait()
	checkAudit(t, v, callers)
}

func checkAudit(t *testing.T, v *vaulttest.Vault, callers int) {
	t.Helper()
	created, lookups, mixed, seen := 0, 0, 0, 0
	for _, e := range v.Audit() {
		if e.Type != "request" {
			continue
		}
		switch {
		case e.Request.Path == "auth/token/create/mcp-gateway":
			created++
		case e.Request.Path == "auth/token/lookup-self":
			lookups++
		case strings.HasPrefix(e.Request.Path, "secret/data/mcp/"):
			seen++
			subject := strings.Split(e.Request.Path, "/")[3]
			if e.Auth.Metadata["subject"] != subject || e.Auth.DisplayName != "token-portcullis-"+subject ||
				!slices.Contains(e.Request.Headers["x-correlation-id"], "d-"+subject) || e.Auth.TokenType != "batch" {
				mixed++
			}
		}
	}
	var leases struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	v.Do(vaulttest.Request{Method: "LIST", Path: "sys/leases/lookup/auth/approle/login"}, &leases)
	status := v.Do(vaulttest.Request{Method: "LIST", Path: "sys/leases/lookup/auth/token/create/mcp-gateway"}, nil)
	if len(leases.Data.Keys) != 1 || status != http.StatusNotFound {
		t.Errorf("Vault holds %d leases of logins and answers %d for those of callers, want one and none", len(leases.Data.Keys), status)
	}
	if created != callers || lookups != 0 || mixed != 0 || seen < 10_000 {
		t.Errorf("%d tokens created, %d lookups, %d of %d requests with a wrong token", created, lookups, mixed, seen)
	}
}

func TestCallerReachesItsOwnOnly(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: children()})
	victim, thief := caller("victim"), caller("thief")
	if err := put(t, cl, victim, "x"); err != nil {
		t.Fatal(err)
	}
	// A decision that is wrong: Vault still says no.
	g := call.Mint(thief, call.Terms{Op: "kv.read", Resource: call.Resource{Mount: "secret"}})
	if err := open(t, cl, g).Get(t.Context(), "data/mcp/victim/app", nil, nil); !call.Is(err, call.Forbidden) {
		t.Errorf("read another caller's secret: got %v, want forbidden", err)
	}
	banned := caller("banned")
	banned.Kind = "banned"
	if _, err := read(t, cl, banned); !call.Is(err, call.Forbidden) {
		t.Errorf("a caller without a policy: got %v, want forbidden", err)
	}
}

func TestTokensAreReplaced(t *testing.T) {
	v := vaulttest.Start(t)
	ch := children()
	ch.TTL = 2 * time.Second
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: ch})
	c := caller("busy")
	e2e.Eventually(t, "four tokens", func() bool {
		if err := put(t, cl, c, "x"); err != nil {
			t.Errorf("write: %v", err)
		}
		return t.Failed() || v.Count("auth/token/create/mcp-gateway") >= 4
	})
	v.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	if err := put(t, cl, c, "x"); err != nil {
		t.Errorf("write after the gateway's token was revoked: %v", err)
	}
}

func TestPolicyIsMendedAndKept(t *testing.T) {
	v := vaulttest.Start(t)
	var narrow atomic.Bool
	ch := children()
	ch.PolicyFor = func(c *call.Caller, _ string) (callers.Policies, error) {
		if narrow.Load() {
			return callers.Policies{Subject: `path "secret/data/elsewhere" { capabilities = ["read"] }`}, nil
		}
		return agentPolicy(c, "")
	}
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: ch, Janitor: leases.Rules{Every: 20 * time.Millisecond}})
	run(t, cl)
	c := caller("kept")
	if err := put(t, cl, c, "x"); err != nil {
		t.Fatal(err)
	}
	narrow.Store(true)
	e2e.Eventually(t, "the narrower policy", func() bool { _, err := read(t, cl, c); return call.Is(err, call.Forbidden) })
	narrow.Store(false)
	e2e.Eventually(t, "the wider policy", func() bool { _, err := read(t, cl, c); return err == nil })
	if status := v.Do(vaulttest.Request{Method: http.MethodDelete, Path: "sys/policies/acl/mcp-agent-kept"}, nil); status >= 300 {
		t.Fatal(status)
	}
	e2e.Eventually(t, "the policy that somebody removed", func() bool { _, err := read(t, cl, c); return err == nil })
}

func TestChildrenNeedPolicies(t *testing.T) {
	if _, err := vault.New(vault.Config{Addr: "http://127.0.0.1:1", Children: callers.Config{Enabled: true}}); err == nil {
		t.Error("New: got nil, want an error")
	}
}
