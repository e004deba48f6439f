package ops_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/ops/opstest"
)

// login runs a query as a database user.
func login(t *testing.T, p *stack.Postgres, creds map[string]any) error {
	t.Helper()
	dsn := p.UserDSN(creds["username"].(string), creds["password"].(string))
	out, err := exec.CommandContext(t.Context(), "psql", "-X", "-c", "SELECT 1", dsn).CombinedOutput()
	if err != nil {
		return fmt.Errorf("psql: %w: %s", err, out)
	}
	return nil
}

// addStaticRole makes the user that Vault rotates.
func addStaticRole(t *testing.T, r *rig, p *stack.Postgres) {
	t.Helper()
	for _, request := range opstest.Static(p.DSN()) {
		r.ask(t, request[0], request[1], request[2])
	}
}

func leaseArgs(out map[string]any, more string) string {
	return fmt.Sprintf(`{"lease_id":%q%s}`, out["lease_id"], more)
}

func TestDatabase(t *testing.T) {
	r, postgres := newDatabaseRig(t)
	r.admin(t, "secret/config", `{"cas_required":true}`) // the lease registry must work all the same
	t.Run("issued credentials work until they are revoked", func(t *testing.T) {
		creds := r.must(t, "db.issue_creds", `{"role":"readonly"}`)
		if err := login(t, postgres, creds); err != nil {
			t.Fatal(err)
		}
		if got := r.must(t, "db.renew", leaseArgs(creds, `,"increment":600`))["lease_duration"]; got != 600.0 {
			t.Errorf("got a life of %v s after renewal, want 600", got)
		}
		r.must(t, "db.revoke", leaseArgs(creds, ""))
		if err := login(t, postgres, creds); err == nil {
			t.Error("the user can still log in")
		}
		for _, name := range []string{"db.renew", "db.revoke"} {
			_, err := r.do(t.Context(), name, leaseArgs(creds, ""))
			wantCode(t, err, call.NotFound)
		}
	})
	t.Run("static credentials work", func(t *testing.T) {
		addStaticRole(t, r, postgres)
		if err := login(t, postgres, r.must(t, "db.static_creds", `{"role":"rotated"}`)); err != nil {
			t.Error(err)
		}
	})
	t.Run("ownership", func(t *testing.T) { ownership(t, r) })
	t.Run("own leases", func(t *testing.T) { ownLeases(t, r) })
	t.Run("longest life", func(t *testing.T) { longestLife(t, r) })
	t.Run("a lease that cannot be noted is revoked", func(t *testing.T) { unnoted(t, r, postgres) })
}

// ownership shows that somebody else's lease and one that never was get the same
// answer, before and after a restart of the gateway.
func ownership(t *testing.T, r *rig) {
	t.Helper()
	creds := r.must(t, "db.issue_creds", `{"role":"readonly"}`)
	strangers := map[string]*call.Caller{"another subject": caller("other"), "same name in a tenant": caller("agent")}
	strangers["same name in a tenant"].Tenant = "acme"
	for who, c := range strangers {
		for _, name := range []string{"db.renew", "db.revoke"} {
			_, foreign := r.as(t.Context(), c, call.Terms{}, name, leaseArgs(creds, ""))
			_, unknown := r.as(t.Context(), c, call.Terms{}, name, `{"lease_id":"database/creds/readonly/AAAAAAAAAAAAAAAAAAAAAAAA"}`)
			f, u := call.AsError(foreign), call.AsError(unknown)
			if f.Code != call.NotFound || f.Code != u.Code || f.Msg != u.Msg || fmt.Sprint(f.Data) != fmt.Sprint(u.Data) {
				t.Errorf("%s, %s: got %q %q for another's lease and %q %q for an unknown one", who, name, f.Code, f.Msg, u.Code, u.Msg)
			}
		}
	}
	for _, other := range []string{"nope", "ssh/creds/otp/x", "database/roles/readonly/x", "database/creds/readonly"} {
		_, err := r.do(t.Context(), "db.revoke", `{"lease_id":"`+other+`"}`)
		wantCode(t, err, call.NotFound)
	}
	r.connect(t)
	r.must(t, "db.renew", leaseArgs(creds, ""))
	r.must(t, "db.revoke", leaseArgs(creds, ""))
}

func ownLeases(t *testing.T, r *rig) {
	t.Helper()
	mine := r.must(t, "db.issue_creds", `{"role":"readonly"}`)
	if _, err := r.as(t.Context(), caller("other"), call.Terms{}, "db.issue_creds", `{"role":"readonly"}`); err != nil {
		t.Fatal(err)
	}
	list, _ := r.must(t, "db.leases", `{}`)["leases"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["lease_id"] != mine["lease_id"] {
		t.Errorf("got %v, want the one lease %v", list, mine["lease_id"])
	}
	r.must(t, "db.revoke", leaseArgs(mine, ""))
	if list, _ := r.must(t, "db.leases", `{}`)["leases"].([]any); len(list) != 0 {
		t.Errorf("got %v after the revocation, want none", list)
	}
}

// longestLife shows that the decision's cap holds for the whole life of a lease.
func longestLife(t *testing.T, r *rig) {
	t.Helper()
	terms := call.Terms{MaxTTL: 5 * time.Minute}
	creds, err := r.as(t.Context(), caller("agent"), terms, "db.issue_creds", `{"role":"readonly"}`)
	if err != nil {
		t.Fatal(err)
	}
	if d := creds["lease_duration"].(float64); d > 300 {
		t.Errorf("got a life of %v s, want at most 300", d)
	}
	out, err := r.as(t.Context(), caller("agent"), terms, "db.renew", leaseArgs(creds, `,"increment":3600`))
	if err != nil {
		t.Fatal(err)
	}
	if d := out["lease_duration"].(float64); d > 300 {
		t.Errorf("got a life of %v s after renewal, want at most 300", d)
	}
	_, err = r.as(t.Context(), caller("agent"), call.Terms{MaxTTL: time.Millisecond}, "db.renew", leaseArgs(creds, ""))
	wantCode(t, err, call.Forbidden)
	_, err = r.as(t.Context(), caller("agent"), call.Terms{MaxTTL: time.Millisecond}, "db.issue_creds", `{"role":"readonly"}`)
	wantCode(t, err, call.Forbidden)
}

// unnoted breaks the lease registry while credentials are issued.
func unnoted(t *testing.T, r *rig, postgres *stack.Postgres) {
	t.Helper()
	users := func() string {
		out, err := exec.CommandContext(t.Context(), "psql", "-XAtc",
			"SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%readonly%'", postgres.DSN()).CombinedOutput()
		if err != nil {
			t.Fatalf("psql: %v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	before := users()
	r.connectTo(t, "missing")
	_, err := r.do(t.Context(), "db.issue_creds", `{"role":"readonly"}`)
	wantCode(t, err, call.VaultError)
	if after := users(); after != before {
		t.Errorf("got %s database users, want %s: the new one is nobody's", after, before)
	}
}

// The notes about leases are no secrets that a grant could open.
func TestBookIsClosed(t *testing.T) {
	r := newRig(t)
	admin := caller("x")
	admin.Prefix, _ = call.ParsePath("mcp")
	for _, path := range []string{".leases", ".leases/subjects/agent/0"} {
		for name, args := range map[string]string{
			"kv.read": `{"path":"` + path + `"}`, "kv.write": `{"path":"` + path + `","data":{}}`, "kv.list": `{"prefix":"` + path + `/"}`,
		} {
			_, err := r.as(t.Context(), admin, call.Terms{}, name, args)
			wantCode(t, err, call.Forbidden)
		}
	}
}
