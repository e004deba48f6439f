package vault_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
)

// TestCallersThatLeave: whoever hangs up says nothing about Vault, and a change that
// was sent goes on, in its place, until its outcome is known.
func TestCallersThatLeave(t *testing.T) { overBoth(t, testCallersThatLeave) }

func testCallersThatLeave(t *testing.T) {
	const calls = 20
	var arrived, cut atomic.Int64
	hold := make(chan struct{})
	cl := stub(t, vault.Config{Timeout: time.Minute, Load: vault.Load{Total: 64, Each: 32}}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/leaves/") {
			arrived.Add(1)
			select {
			case <-hold:
			case <-r.Context().Done():
				cut.Add(1)
			}
		}
		_, _ = io.WriteString(w, answer)
	})
	c := caller("leaves")
	ctx, leave := context.WithCancel(t.Context())
	errs := make(chan error, 2*calls)
	var wg sync.WaitGroup
	body := map[string]any{"data": map[string]string{"value": "v"}}
	for range calls {
		wg.Go(func() {
			errs <- open(t, cl, grant(c, "kv.write")).Put(ctx, "data/"+c.Prefix.String()+"/app", body, nil)
		})
	}
	e2e.Eventually(t, "the changes to be sent", func() bool { return arrived.Load() == calls })
	leave()
	for range 50 {
		if _, err := read(t, cl, caller("stays")); err != nil {
			t.Errorf("the other caller: %v", err)
		}
	}
	if inside, _, open := cl.Load(); open || inside != calls {
		t.Errorf("breaker open: %v, %d places held, want %d", open, inside, calls)
	}
	close(hold)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("a change whose caller has left: %v", err)
		}
	}
	if cut.Load() != 0 {
		t.Errorf("%d changes were cut off", cut.Load())
	}
}

// A read ends with its caller, and the breaker stays closed.
func TestReadersThatLeave(t *testing.T) { overBoth(t, testReadersThatLeave) }

func testReadersThatLeave(t *testing.T) {
	cl := stub(t, vault.Config{Timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/leaves/") {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, answer)
	})
	for _, why := range []func() (context.Context, context.CancelFunc){
		func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
		func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		},
	} {
		for range 12 {
			ctx, cancel := why()
			stop := time.AfterFunc(50*time.Millisecond, cancel)
			c := caller("leaves")
			err := open(t, cl, grant(c, "kv.read")).Get(ctx, "data/"+c.Prefix.String()+"/app", nil, &secret{})
			if !call.Is(err, call.Canceled) && !call.Is(err, call.VaultTimeout) {
				t.Errorf("got %v", err)
			}
			stop.Stop()
			cancel()
		}
		if _, _, open := cl.Load(); open {
			t.Error("the breaker is open")
		}
	}
}

// What has not been sent when its caller leaves is not sent any more.
func TestNothingIsSentForWhoHasLeft(t *testing.T) {
	var requests atomic.Int64
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, answer)
	})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	err := open(t, cl, grant(caller("gone"), "kv.write")).Put(ctx, "data/x", map[string]any{}, nil)
	if !call.Is(err, call.Canceled) || requests.Load() != 0 {
		t.Errorf("got %v, and %d requests", err, requests.Load())
	}
}

// Requests that take longer than they may, such as large batches of RSA, do not make
// Vault look as if it were away.
func TestSlowRequestsDoNotStopTheOthers(t *testing.T) {
	overBoth(t, testSlowRequestsDoNotStopTheOthers)
}

func testSlowRequestsDoNotStopTheOthers(t *testing.T) {
	done := make(chan struct{})
	var asked atomic.Int64
	cl := stub(t, vault.Config{Timeout: 100 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/slow/"):
			<-done
		case r.URL.Path == "/v1/auth/token/lookup-self":
			asked.Add(1)
			_, _ = io.WriteString(w, `{"request_id":"1","data":{"accessor":"a"}}`)
		default:
			_, _ = io.WriteString(w, answer)
		}
	})
	t.Cleanup(func() { close(done) })
	for range 15 {
		if err := put(t, cl, caller("slow"), "v"); !call.Is(err, call.OutcomeUnknown) {
			t.Fatalf("got %v, want outcome_unknown", err)
		}
		if _, _, open := cl.Load(); open {
			t.Fatal("the breaker is open")
		}
	}
	if n := asked.Load(); n == 0 || n > 5 {
		t.Errorf("Vault was asked %d times whether it is there", n)
	}
	if _, err := read(t, cl, caller("other")); err != nil {
		t.Errorf("the other caller: %v", err)
	}
}

// A Vault that takes requests and answers none is away.
func TestSilentVaultOpensTheBreaker(t *testing.T) { overBoth(t, testSilentVaultOpensTheBreaker) }

func testSilentVaultOpensTheBreaker(t *testing.T) {
	done := make(chan struct{})
	cl := stub(t, vault.Config{Timeout: 300 * time.Millisecond}, func(http.ResponseWriter, *http.Request) { <-done })
	t.Cleanup(func() { close(done) })
	for range 5 {
		if err := put(t, cl, caller("s"), "v"); !call.Is(err, call.OutcomeUnknown) {
			t.Fatalf("got %v, want outcome_unknown", err)
		}
	}
	if _, _, open := cl.Load(); !open {
		t.Error("the breaker is closed")
	}
}
