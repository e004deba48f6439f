package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// password is what an operation reads of a one-time password.
type password struct {
	vault.Lease `json:"-"`
	Key         string `json:"key"`
}

// Complete implements vault.Reply.
func (p *password) Complete() bool { return p.Key != "" }

// TestPasswordsThatWorkOnceAreBounded: their leases are not registered, and one caller
// cannot fill Vault with them.
func TestPasswordsThatWorkOnceAreBounded(t *testing.T) {
	var life, fails atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fails.Load() > 0 {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"request_id":"1","errors":["denied"]}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"request_id":"1","lease_id":"ssh/creds/otp/x","lease_duration":%d,"data":{"key":"k"}}`, life.Load())
	}))
	defer srv.Close()
	b := budget.New(budget.Defaults())
	cl := newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}, Budgets: b})
	mint := func(who string) error {
		s := open(t, cl, call.Mint(caller(who), call.Terms{Op: "ssh.otp", Resource: call.Resource{Mount: "ssh"}}))
		defer s.Close()
		return s.MintOnce(t.Context(), "creds/otp", map[string]string{"ip": "192.0.2.1"}, &password{})
	}
	fails.Store(1)
	for range 3 {
		if err := mint("a"); !call.Is(err, call.Forbidden) {
			t.Fatalf("got %v", err)
		}
	}
	counted(t, b, 0)
	fails.Store(0)
	life.Store(1)
	if err := mint("a"); err != nil {
		t.Fatal(err)
	}
	counted(t, b, 0) // it ends
	life.Store(int64((768 * time.Hour).Seconds()))
	for i := range 1024 {
		if err := mint("a"); err != nil {
			t.Fatalf("password %d: %v", i+1, err)
		}
	}
	if err := mint("a"); !call.Is(err, call.RateLimited) || call.AsError(err).Wait() == 0 {
		t.Errorf("one more: got %v, want rate_limited with a time to wait", err)
	}
	if err := mint("b"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	counted(t, b, 1025)
}
