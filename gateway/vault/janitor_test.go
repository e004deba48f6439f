package vault_test

import (
	"context"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/vaulttest"
)

// world is a dev Vault with a database.
type world struct {
	*vaulttest.Vault
	db *stack.Postgres
}

func newWorld(t *testing.T) world {
	t.Helper()
	db, err := stack.StartPostgres(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return world{vaulttest.Start(t, "--postgres", db.DSN()), db}
}

// ttl sets how long the role's users live.
func (w world) ttl(t *testing.T, life, longest string) {
	t.Helper()
	w.Write("database/roles/readonly", map[string]any{
		"db_name": "postgres", "default_ttl": life, "max_ttl": longest,
		"creation_statements": []string{`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`},
	})
}

func (w world) client(t *testing.T, g leases.Rules) *vault.Client {
	t.Helper()
	return w.bounded(t, g, nil)
}

func (w world) bounded(t *testing.T, g leases.Rules, b *budget.Budgets) *vault.Client {
	t.Helper()
	path, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	g.Every = max(g.Every, 50*time.Millisecond)
	ch := children()
	ch.TTL, ch.LeaseTTL = 2*time.Second, 4*time.Second
	cl := newClient(t, vault.Config{
		Addr: w.Addr, Login: approle(w.Vault), Children: ch, Janitor: g, Budgets: b, Registry: leases.Location{Mount: "secret", Path: path},
	})
	run(t, cl)
	return cl
}

type issued struct {
	vault.Lease `json:"-"`
	Username    string `json:"username"`
	Password    string `json:"password"`
}

// Complete implements vault.Reply.
func (i *issued) Complete() bool { return i.Username != "" }

func issue(t *testing.T, cl *vault.Client, c *call.Caller, limit time.Duration) (issued, error) {
	t.Helper()
	s := open(t, cl, dbGrant(c, "db.issue_creds", limit))
	var got issued
	if err := s.Mint(t.Context(), "creds/readonly", &got); err != nil {
		return got, err
	}
	l, err := s.Adopt(t.Context(), got.Lease, "readonly")
	got.Lease = l
	return got, err
}

func dbGrant(c *call.Caller, op string, limit time.Duration) call.Grant {
	return call.Mint(c, call.Terms{DecisionID: "d-" + c.Subject, Op: op, Resource: call.Resource{Mount: "database"}, MaxTTL: limit})
}

// works reports whether the database lets the user in.
func (w world) works(t *testing.T, u issued) bool {
	t.Helper()
	return exec.CommandContext(t.Context(), "psql", "-tAc", "select 1", w.db.UserDSN(u.Username, u.Password)).Run() == nil
}

func must(t *testing.T, u issued, err error) issued {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLeases(t *testing.T) {
	w := newWorld(t)
	for name, f := range map[string]func(*testing.T, world){
		"outlive the tokens of requests":     outliveTokens,
		"survive a restart of the gateway":   surviveRestart,
		"survive it without callers' tokens": surviveWithoutTokens,
		"end with the kill switch":           endWithKill,
		"end with a delayed kill":            killLater,
		"are renewed up to the limit":        renewedToLimit,
		"end when the caller has gone":       endWhenGone,
		"end when they are not allowed":      endWhenForbidden,
		"are capped":                         capped,
		"are of one credential":              leaseByCredential,
		"end after a restart":                endAfterRestart,
		"that nobody knows of end as well":   killStray,
		"are the caller's own, and only his": ownOnly,
		"are held for one person":            heldForOne,
		"that are taken back take no place":  takenBack,
		"end when they are issued too late":  issuedTooLate,
	} {
		t.Run(name, func(t *testing.T) {
			w.ttl(t, "1h", "24h")
			f(t, w)
		})
	}
}

func outliveTokens(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Renew: true})
	c := caller("outlive")
	u, err := issue(t, cl, c, 0)
	must(t, u, err)
	start := time.Now() // the token that the lease hangs on lives for four seconds unless it is renewed
	e2e.Eventually(t, "the end of the first tokens", func() bool { return time.Since(start) > 6*time.Second })
	if !w.works(t, u) {
		t.Error("the credentials died with a token")
	}
	again, err := issue(t, cl, c, 0)
	if must(t, again, err); again.Username == u.Username {
		t.Error("issued the same user twice")
	}
}

func surviveRestart(t *testing.T, w world) {
	c := caller("survive")
	c.Tenant = "acme"
	before := w.client(t, leases.Rules{Renew: true})
	u, err := issue(t, before, c, 0)
	must(t, u, err)
	if err := before.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.client(t, leases.Rules{Renew: true})
	renewals := w.Count("auth/token/renew-accessor")
	e2e.Eventually(t, "a renewal", func() bool { return w.Count("auth/token/renew-accessor") > renewals })
	if !w.works(t, u) {
		t.Error("the credentials died with the gateway")
	}
	if held, err := open(t, after, dbGrant(c, "db.leases", 0)).Leases(t.Context()); err != nil || len(held) != 1 || held[0].ID != u.ID {
		t.Fatalf("leases after the restart: %v, %v", held, err)
	}
	if err := after.RevokeCaller(t.Context(), c.Key()); err != nil || w.works(t, u) {
		t.Errorf("the credentials survived the kill switch (%v)", err)
	}
}

// surviveWithoutTokens: what hangs on the gateway's own token does not end because the
// gateway does; a token on which nothing hangs is given back.
func surviveWithoutTokens(t *testing.T, w world) {
	path, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"with a lease": 1, "without": 0} {
		cl := newClient(t, vault.Config{Addr: w.Addr, Login: approle(w.Vault), Registry: leases.Location{Mount: "secret", Path: path}})
		run(t, cl)
		if err := put(t, cl, caller("own"), "x"); err != nil {
			t.Fatal(err)
		}
		var u issued
		for range n {
			var err error
			u, err = issue(t, cl, caller("own"), 0)
			must(t, u, err)
		}
		given := w.Count("auth/token/revoke-self")
		if err := cl.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.Count("auth/token/revoke-self") - given; got != 1-n {
			t.Errorf("%s: %d tokens were given back, want %d", name, got, 1-n)
		}
		if n > 0 && !w.works(t, u) {
			t.Errorf("%s: the credentials died with the gateway", name)
		}
	}
}

func endWithKill(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Renew: true})
	c, other := caller("killed"), caller("spared")
	var us []issued
	for range 3 {
		u, err := issue(t, cl, c, 0)
		us = append(us, must(t, u, err))
	}
	spared, err := issue(t, cl, other, 0)
	must(t, spared, err)
	if err := put(t, cl, c, "x"); err != nil {
		t.Fatal(err)
	}
	held := open(t, cl, grant(c, "kv.read"))
	if err := cl.RevokeCaller(t.Context(), c.Key()); err != nil {
		t.Fatalf("kill: %v", err)
	}
	for _, u := range us {
		if w.works(t, u) {
			t.Error("a credential survived")
		}
	}
	if err := held.Get(t.Context(), "data/mcp/killed/app", nil, nil); !call.Is(err, call.Forbidden) {
		t.Errorf("a session of before: got %v, want forbidden", err)
	}
	if !w.works(t, spared) {
		t.Error("somebody else's credential was killed")
	}
	if status := w.Do(vaulttest.Request{Path: "sys/policies/acl/mcp-agent-killed"}, nil); status != 404 {
		t.Errorf("the policy: status %d, want 404", status)
	}
	if _, err := read(t, cl, c); err != nil {
		t.Errorf("let in again: %v", err)
	}
}

// killLater kills while Vault is away; the killing is done when it is back.
func killLater(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{})
	u, err := issue(t, cl, caller("later"), 0)
	must(t, u, err)
	if err := w.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cl.RevokeWhere(t.Context(), func(c *call.Caller) bool { return c.Subject == "later" }); err == nil {
		t.Error("killed while Vault was away")
	}
	if err := w.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "the credential to end", func() bool { return !w.works(t, u) })
}

func renewedToLimit(t *testing.T, w world) {
	w.ttl(t, "3s", "24h")
	cl := w.client(t, leases.Rules{Renew: true})
	c := caller("renewed")
	long, err := issue(t, cl, c, 0)
	must(t, long, err)
	short, err := issue(t, cl, c, 4*time.Second)
	must(t, short, err)
	e2e.Eventually(t, "the limited one to end", func() bool { return !w.works(t, short) })
	if !w.works(t, long) {
		t.Error("the unlimited one was not renewed")
	}
}

func endWhenGone(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Renew: true, Idle: 500 * time.Millisecond})
	u, err := issue(t, cl, caller("gone"), 0)
	must(t, u, err)
	e2e.Eventually(t, "the credential to end", func() bool { return !w.works(t, u) })
	e2e.Eventually(t, "the policy to go", func() bool { return w.Do(vaulttest.Request{Path: "sys/policies/acl/mcp-agent-gone"}, nil) == 404 })
}

func endWhenForbidden(t *testing.T, w world) {
	var banned atomic.Bool
	cl := w.client(t, leases.Rules{Renew: true, Allowed: func(_ context.Context, c *call.Caller, h leases.Held) bool {
		return !(banned.Load() && c.Subject == "banned" && h.Role == "readonly")
	}})
	u, err := issue(t, cl, caller("banned"), 0)
	must(t, u, err)
	spared, err := issue(t, cl, caller("allowed"), 0)
	must(t, spared, err)
	banned.Store(true)
	e2e.Eventually(t, "the credential to end", func() bool { return !w.works(t, u) })
	if !w.works(t, spared) {
		t.Error("an allowed credential ended")
	}
}

func capped(t *testing.T, w world) {
	w.ttl(t, "1h", "24h")
	cl := w.client(t, leases.Rules{Max: 2})
	c := caller("capped")
	first, err := issue(t, cl, c, 0)
	must(t, first, err)
	second, err := issue(t, cl, c, 0)
	must(t, second, err)
	if _, err := issue(t, cl, c, 0); !call.Is(err, call.LeaseQuota) {
		t.Errorf("the third: got %v, want lease_quota", err)
	}
	if err := open(t, cl, dbGrant(c, "db.revoke", 0)).Revoke(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	third, err := issue(t, cl, c, 0)
	must(t, third, err)
}

func ownOnly(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{})
	owner, thief := caller("owner"), caller("thief")
	thief.Tenant = "other"
	u, err := issue(t, cl, owner, 0)
	must(t, u, err)
	s := open(t, cl, dbGrant(thief, "db.revoke", 0))
	if err := s.Revoke(t.Context(), u.ID); !call.Is(err, call.NotFound) {
		t.Errorf("revoke somebody else's: got %v, want not_found", err)
	}
	if _, err := s.Renew(t.Context(), u.ID, 60); !call.Is(err, call.NotFound) {
		t.Errorf("renew somebody else's: got %v, want not_found", err)
	}
	if _, err := open(t, cl, dbGrant(owner, "db.renew", 0)).Renew(t.Context(), u.ID, 60); err != nil {
		t.Errorf("renew the own one: %v", err)
	}
	if !w.works(t, u) {
		t.Error("the credential is gone")
	}
}

// heldForOne: of two persons behind one agent, each has its own leases, and the agent by
// itself has neither's; they count together, and end with the person.
func heldForOne(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Max: 3})
	as := func(who string) *call.Caller {
		c := caller("agent")
		if who != "" {
			c.Behalf = caller(who)
		}
		return c
	}
	held := map[string]issued{}
	for _, who := range []string{"", "alice", "bob"} {
		u, err := issue(t, cl, as(who), 0)
		held[who] = must(t, u, err)
	}
	if _, err := issue(t, cl, as("carol"), 0); !call.Is(err, call.LeaseQuota) {
		t.Errorf("the agent's fourth: got %v, want lease_quota", err)
	}
	for who := range held {
		s := open(t, cl, dbGrant(as(who), "db.renew", 0))
		if list, err := s.Leases(t.Context()); err != nil || len(list) != 1 || list[0].ID != held[who].ID {
			t.Errorf("leases held for %q: %v, %v", who, list, err)
		}
		for other, u := range held {
			if _, err := s.Renew(t.Context(), u.ID, 60); call.Is(err, call.NotFound) != (other != who) {
				t.Errorf("%q renews what is held for %q: %v", who, other, err)
			}
			if other == who {
				continue
			}
			if err := s.Revoke(t.Context(), u.ID); !call.Is(err, call.NotFound) {
				t.Errorf("%q revokes what is held for %q: %v", who, other, err)
			}
		}
	}
	if err := cl.RevokeWhere(t.Context(), func(c *call.Caller) bool { return c.Behalf != nil && c.Behalf.Subject == "alice" }); err != nil {
		t.Fatal(err)
	}
	for who, u := range held {
		if w.works(t, u) != (who != "alice") {
			t.Errorf("alice was revoked: what is held for %q works: %v", who, w.works(t, u))
		}
	}
}
