package vault_test

import (
	"net/http"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/vaulttest"
)

// given is what two callers hold that is not registered, one of them for two persons.
type given struct {
	by       *call.Caller
	wrapping string
	password string
}

// TestWhatWasGivenEndsWithItsCaller: wrapped answers that nobody has opened, and one-time
// passwords that nobody has used, are nothing any more once their caller is revoked.
func TestWhatWasGivenEndsWithItsCaller(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	held := map[string]given{}
	for name, c := range map[string]*call.Caller{"alice": caller("alice"), "bob": caller("bob"), "bob for carol": caller("bob")} {
		if name == "bob for carol" {
			c.Behalf = caller("carol")
		}
		held[name] = give(t, cl, c)
	}
	if err := cl.RevokeWhere(t.Context(), func(c *call.Caller) bool { return c.Behalf != nil }); err != nil {
		t.Fatal(err)
	}
	held["alice"].good(t, v, true)
	held["bob for carol"].good(t, v, false)
	held["bob"].good(t, v, true)
	held["alice"] = give(t, cl, caller("alice"))
	if err := cl.RevokeCaller(t.Context(), "/alice"); err != nil {
		t.Fatal(err)
	}
	held["alice"].good(t, v, false)
	if err := cl.RevokeCaller(t.Context(), "/bob"); err != nil { // his were used
		t.Errorf("what was used cannot be ended: %v", err)
	}
}

func give(t *testing.T, cl *vault.Client, c *call.Caller) given {
	t.Helper()
	s := open(t, cl, call.Mint(c, call.Terms{Op: "ssh.otp", Resource: call.Resource{Mount: "ssh"}, WrapTTL: time.Minute}))
	defer s.Close()
	w, err := s.Wrap(t.Context(), []byte(`{"a":"b"}`))
	if err != nil {
		t.Fatal(err)
	}
	var p password
	if err := s.MintOnce(t.Context(), "creds/otp", map[string]string{"ip": "127.0.0.1"}, &p); err != nil {
		t.Fatal(err)
	}
	s.NoteOnce(p.Lease, "otp")
	return given{c, w.WrapInfo.Token.Reveal(), p.Key}
}

func (g given) good(t *testing.T, v *vaulttest.Vault, want bool) {
	t.Helper()
	unwrap := vaulttest.Request{Token: g.wrapping, Method: http.MethodPost, Path: "sys/wrapping/unwrap", Body: map[string]any{}}
	if got := v.Do(unwrap, nil) == http.StatusOK; got != want {
		t.Errorf("%s: the wrapped answer can be opened: %v, want %v", g.by.Holder(), got, want)
	}
	verify := vaulttest.Request{Method: http.MethodPost, Path: "ssh/verify", Body: map[string]any{"otp": g.password}}
	if got := v.Do(verify, nil) == http.StatusOK; got != want {
		t.Errorf("%s: the password is good: %v, want %v", g.by.Holder(), got, want)
	}
}

// takenBack: a lease that is not given to anybody takes no place.
func takenBack(t *testing.T, w world) {
	cl := w.client(t, leases.Rules{Max: 1})
	for range 3 {
		s := open(t, cl, dbGrant(caller("unlucky"), "db.issue_creds", 0))
		var got issued
		if err := s.Mint(t.Context(), "creds/readonly", &got); err != nil {
			t.Fatal(err)
		}
		l, err := s.Adopt(t.Context(), got.Lease, "readonly")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.TakeBack(t.Context(), l.ID); err != nil || w.works(t, got) {
			t.Fatalf("the user is still there, %v", err)
		}
	}
}

// issuedTooLate: what was issued while its caller was revoked ends even when nobody takes
// it back.
func issuedTooLate(t *testing.T, w world) {
	c := caller("late")
	path, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	cl := newClient(t, vault.Config{ // without tokens of callers, which leases would end with
		Addr: w.Addr, Login: approle(w.Vault), Registry: leases.Location{Mount: "secret", Path: path},
		Janitor: leases.Rules{Every: 50 * time.Millisecond, Ended: func(other *call.Caller) bool { return other.Subject == c.Subject }},
	})
	run(t, cl)
	s := open(t, cl, dbGrant(c, "db.issue_creds", 0))
	var got issued
	if err := s.Mint(t.Context(), "creds/readonly", &got); err != nil {
		t.Fatal(err)
	}
	if err := cl.RevokeWhere(t.Context(), func(other *call.Caller) bool { return other.Subject == c.Subject }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Adopt(t.Context(), got.Lease, "readonly"); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "the end of the user", func() bool { return !w.works(t, got) })
}
