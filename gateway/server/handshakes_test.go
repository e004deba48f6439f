package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth/authtest"
)

// What a client does with a connection, see greet.
const (
	asks = iota
	closes
	breaksOff
)

// greet makes a TLS connection, and asks for something over it, closes it, or breaks the
// handshake off.
func greet(l *pipes, what int) error {
	nc, conf := l.dial(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if what == breaksOff {
		conf.VerifyConnection = func(tls.ConnectionState) error { return errors.Join(io.EOF, nc.Close()) }
	}
	c := tls.Client(nc, conf)
	err := c.Handshake()
	if what == breaksOff {
		err = nil
	}
	if err == nil && what == asks {
		_, err = io.WriteString(c, "GET /nobody HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}
	_ = nc.Close()
	synctest.Wait()
	return err
}

func secureServer(t *testing.T) *pipes {
	t.Helper()
	return pacedServer(t, &tls.Config{Certificates: []tls.Certificate{authtest.NewCA("server").Server().TLS()}, MinVersion: tls.VersionTLS13})
}

// TestHandshakesOfAnAddressAreSpread: what an address has answered is bounded, and twice
// as much when it breaks them off. Few connections wait for nothing, and one over which
// nothing is asked counts as any other.
func TestHandshakesOfAnAddressAreSpread(t *testing.T) {
	for name, tc := range map[string]struct {
		what int
		each time.Duration
	}{
		"with a request": {asks, handshakeEvery}, "without": {closes, handshakeEvery}, "broken off": {breaksOff, handshakeEvery * (1 + handshakeWaste)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const free, n = 40, 400
				l := secureServer(t)
				began := time.Now()
				for i := range n {
					if err := greet(l, tc.what); err != nil {
						t.Fatal(err)
					}
					if d := time.Since(began); i < free && d != 0 {
						t.Fatalf("connection %d has waited for %s", i, d)
					}
				}
				if got, want := time.Since(began), (n-1)*tc.each-handshakeAhead; got < want || got > want+tc.each {
					t.Errorf("%d were answered in %s, want %s", n, got, want)
				}
			})
		})
	}
}

// TestHandshakesThatWouldWaitTooLong are refused, and no others.
func TestHandshakesThatWouldWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 10_000, func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.9") })
		ask := func(from string, n int) (refused int) {
			var failed atomic.Int64
			var wg sync.WaitGroup
			for _, c := range arrive(cs, from, n) {
				wg.Go(func() {
					began := time.Now()
					if cs.hello(t.Context(), c) != nil {
						failed.Add(1)
					}
					if d := time.Since(began); d > handshakeWait {
						t.Errorf("one has waited for %s", d)
					}
				})
			}
			wg.Wait()
			return int(failed.Load())
		}
		const most = int((handshakeAhead+handshakeWait)/handshakeEvery) + 1
		if got := ask("192.0.2.1", most+500); got != 500 {
			t.Errorf("%d of %d were refused, want 500", got, most+500)
		}
		began := time.Now()
		if got := ask("192.0.2.2", 100); got != 0 || time.Since(began) != 0 {
			t.Errorf("of another address %d were refused, after %s", got, time.Since(began))
		}
		if got := ask("192.0.2.9", 5000); got != 0 || time.Since(began) != 0 {
			t.Errorf("of a trusted proxy %d were refused, after %s", got, time.Since(began))
		}
	})
}

// TestWhoWaitsForAHandshakeIsNotSilent: a connection does not give way, however many come,
// because this process lets it wait.
func TestWhoWaitsForAHandshakeIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(10_000, 10_000, nil)
		var gone atomic.Int64
		var wg sync.WaitGroup
		for range 2 * crowd {
			for _, c := range arrive(cs, "192.0.2.1", 4) {
				c.heard.Store(true)
				wg.Go(func() {
					if err := cs.hello(t.Context(), c); err != nil {
						t.Error(err)
					}
					cs.mu.Lock()
					defer cs.mu.Unlock()
					if c.gone {
						gone.Add(1)
						return
					}
					cs.leave(c)
				})
			}
			time.Sleep(4 * time.Millisecond)
		}
		wg.Wait()
		if gone.Load() > 0 {
			t.Errorf("%d were closed", gone.Load())
		}
	})
}
