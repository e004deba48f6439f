package vault_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// stalling is a listener of which so many connections say nothing as it is told to stall.
type stalling struct {
	net.Listener
	stall   atomic.Int64
	stalled chan net.Conn
}

// Accept implements net.Listener.
func (l *stalling) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.stall.Add(-1) < 0 {
			return c, err
		}
		l.stalled <- c
	}
}

// startStalling starts a server with TLS that ends each connection after its answer, so
// that every request has to make one.
func startStalling(t *testing.T, writes *atomic.Int64) (*stalling, *vault.Client) {
	t.Helper()
	l := &stalling{stalled: make(chan net.Conn, 64)}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.Method == http.MethodPut {
			writes.Add(1)
		}
		_, _ = io.WriteString(w, answer)
	}))
	l.Listener = srv.Listener
	srv.Listener = l
	srv.StartTLS()
	t.Cleanup(func() {
		srv.Close()
		for len(l.stalled) > 0 {
			_ = (<-l.stalled).Close()
		}
	})
	return l, newClient(t, vault.Config{Addr: srv.URL, SkipVerify: true, Login: vault.Login{Token: "own"}, Timeout: 30 * time.Second})
}

// TestAConnectionThatComesTooLateIsMadeAgain: Vault answers others, so it is there, and
// nothing was sent on the connection that was not made in time. A change is sent once.
func TestAConnectionThatComesTooLateIsMadeAgain(t *testing.T) {
	var writes atomic.Int64
	l, cl := startStalling(t, &writes)
	for name, do := range map[string]func() error{
		"read":  func() error { _, err := read(t, cl, caller("late")); return err },
		"write": func() error { return write(t, cl, caller("late")) },
	} {
		t.Run(name, func(t *testing.T) {
			writes.Store(0)
			l.stall.Store(1)
			done := make(chan error, 1)
			go func() { done <- do() }()
			held := <-l.stalled
			defer func() { _ = held.Close() }()
			for answered := true; answered; {
				select {
				case err := <-done:
					if err != nil {
						t.Errorf("the connection that came too late failed the call: %v", err)
					}
					answered = false
				default:
					if _, err := read(t, cl, caller("others")); err != nil {
						t.Fatalf("beside it: %v", err)
					}
				}
			}
			if got := writes.Load(); name == "write" && got != 1 {
				t.Errorf("%d changes were sent, want 1", got)
			}
		})
	}
}

// TestAVaultThatAnswersNobodyIsAway: there is no further try then.
func TestAVaultThatAnswersNobodyIsAway(t *testing.T) {
	var writes atomic.Int64
	l, cl := startStalling(t, &writes)
	l.stall.Store(64)
	_, err := read(t, cl, caller("alone"))
	if !call.Is(err, call.VaultUnavailable) {
		t.Errorf("got %v, want vault_unavailable", err)
	}
}

func write(t *testing.T, cl *vault.Client, c *call.Caller) error {
	s := open(t, cl, grant(c, "kv.write"))
	defer s.Close()
	return s.Put(context.Background(), "data/x", map[string]any{"data": map[string]int{"a": 1}}, nil)
}
