package vault_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// TestStandby talks to the second of two nodes: it forwards, it takes over when the
// first one goes, and whatever was answered with success has happened once.
func TestStandby(t *testing.T) { overBoth(t, testStandby) }

func testStandby(t *testing.T) {
	v := vaulttest.Start(t, "--standby", "127.0.0.1:0")
	cl := newClient(t, vault.Config{Addr: v.Standby, Login: approle(v), Children: children()})
	run(t, cl)
	c := caller("standby")
	if err := put(t, cl, c, "forwarded"); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, cl, c); err != nil || got != "forwarded" {
		t.Fatalf("read: got %q, %v", got, err)
	}
	answers := map[call.Code]int{}
	done := 1
	takeOver := func() {
		e2e.Eventually(t, "ten writes in a row", func() bool {
			for range 10 {
				err := put(t, cl, c, "later")
				answers[codeOf(err)]++
				if err != nil {
					return false
				}
				done++
			}
			return true
		})
	}
	if err := v.Seal(t.Context()); err != nil { // the first node
		t.Fatal(err)
	}
	takeOver()
	if err := v.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	stepDown(t, v)
	takeOver()
	for code := range answers {
		if code != "" && code != call.VaultUnavailable && code != call.OutcomeUnknown && code != call.VaultTimeout {
			t.Errorf("answers %v", answers)
		}
	}
	if n := v.Count("secret/data/mcp/standby/app") - 1; n < done || n > done+answers[call.OutcomeUnknown] {
		t.Errorf("%d writes in Vault's audit, %d answered with success, %v", n, done, answers)
	}
}

func codeOf(err error) call.Code {
	if err == nil {
		return ""
	}
	return call.AsError(err).Code
}

// stepDown makes the node that the client talks to give the lead away.
func stepDown(t *testing.T, v *vaulttest.Vault) {
	t.Helper()
	other := *v.Vault
	other.Addr = v.Standby
	if status, err := other.Send(t.Context(), http.MethodPut, "sys/step-down", "{}"); err != nil || status != http.StatusNoContent {
		t.Fatalf("step down: %d, %v", status, err)
	}
}

// redirecting is the second of two nodes when it cannot forward: what it says of itself
// is its own, everything else it redirects.
func redirecting(t *testing.T, v *vaulttest.Vault) (addr string, asked, forwardable *atomic.Int64) {
	t.Helper()
	asked, forwardable = new(atomic.Int64), new(atomic.Int64)
	node, err := url.Parse(v.Standby)
	if err != nil {
		t.Fatal(err)
	}
	own := httputil.NewSingleHostReverseProxy(node)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leader" || r.URL.Path == "/v1/sys/health" {
			own.ServeHTTP(w, r)
			return
		}
		asked.Add(1)
		if r.Header.Get("X-Vault-No-Request-Forwarding") == "" {
			forwardable.Add(1)
		}
		w.Header().Set("Location", v.Addr+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked, forwardable
}

func TestRedirectingStandby(t *testing.T) { overBoth(t, testRedirectingStandby) }

func testRedirectingStandby(t *testing.T) {
	v := vaulttest.Start(t, "--standby", "127.0.0.1:0")
	addr, _, _ := redirecting(t, v)
	cl := newClient(t, vault.Config{Addr: addr, Login: approle(v), Children: children()})
	for i := range 3 {
		c := caller("redirected" + strconv.Itoa(i))
		if err := put(t, cl, c, "x"); err != nil {
			t.Errorf("write: %v", err)
		}
		if got, err := read(t, cl, c); err != nil || got != "x" {
			t.Errorf("read: got %q, %v", got, err)
		}
		if n := v.Count("secret/data/mcp/" + c.Subject + "/app"); n != 2 {
			t.Errorf("%d requests in Vault's audit, want 2", n)
		}
	}
}

// A standby that redirects a write may have forwarded it first, so the write is not
// sent again; the next one asks not to be forwarded.
func TestRedirectIsNoProofThatNothingHappened(t *testing.T) {
	overBoth(t, testRedirectIsNoProofThatNothingHappened)
}

func testRedirectIsNoProofThatNothingHappened(t *testing.T) {
	v := vaulttest.Start(t, "--standby", "127.0.0.1:0")
	addr, asked, forwardable := redirecting(t, v)
	cl := newClient(t, vault.Config{Addr: addr, Login: vault.Login{Token: call.Secret(v.Token)}})
	c := caller("twice")
	if err := put(t, cl, c, "x"); !call.Is(err, call.OutcomeUnknown) {
		t.Errorf("the first write: got %v, want outcome_unknown", err)
	}
	if n := v.Count("secret/data/mcp/twice/app"); n != 0 {
		t.Errorf("the first write was sent on %d times", n)
	}
	if err := put(t, cl, c, "x"); err != nil {
		t.Errorf("the second write: %v", err)
	}
	if asked.Load() != 2 || forwardable.Load() != 1 || v.Count("secret/data/mcp/twice/app") != 1 {
		t.Errorf("%d requests, %d of them could have been forwarded", asked.Load(), forwardable.Load())
	}
}

func TestRedirectElsewhere(t *testing.T) { overBoth(t, testRedirectElsewhere) }

func testRedirectElsewhere(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent on", r.Method, r.URL)
	}))
	defer other.Close()
	for name, location := range map[string]string{
		"another path": other.URL + "/v1/sys/seal", "another query": other.URL + "/v1/secret/data/mcp/s/app?list=true",
		"no host": "/v1/secret/data/mcp/s/app", "another scheme": strings.Replace(other.URL, "http", "ftp", 1) + "/v1/secret/data/mcp/s/app",
	} {
		t.Run(name, func(t *testing.T) {
			cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusTemporaryRedirect)
			})
			if _, err := read(t, cl, caller("s")); !call.Is(err, call.VaultError) && !call.Is(err, call.VaultUnavailable) {
				t.Errorf("got %v, want vault_error", err)
			}
		})
	}
}
