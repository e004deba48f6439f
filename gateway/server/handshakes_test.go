package server

import (
	"crypto/tls"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth/authtest"
)

// greet makes a TLS connection, asks for something over it when told to, and closes it.
func greet(l *pipes, ask bool) error {
	c := tls.Client(l.dial(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	err := c.Handshake()
	if err == nil && ask {
		_, err = io.WriteString(c, "GET /nobody HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}
	_ = c.NetConn().Close()
	synctest.Wait()
	return err
}

func secureServer(t *testing.T) *pipes {
	t.Helper()
	return pacedServer(t, &tls.Config{Certificates: []tls.Certificate{authtest.NewCA("server").Server().TLS()}, MinVersion: tls.VersionTLS13})
}

// TestHandshakesOfAnAddressAreSpread: what an address has answered is bounded, and four
// times as much when nothing is asked behind it. Few connections wait for nothing.
func TestHandshakesOfAnAddressAreSpread(t *testing.T) {
	for name, ask := range map[string]bool{"with a request": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const free, n = 40, 400
				l := secureServer(t)
				each := handshakeEvery
				if !ask {
					each *= 1 + handshakeWaste
				}
				began := time.Now()
				for i := range n {
					if err := greet(l, ask); err != nil {
						t.Fatal(err)
					}
					if d := time.Since(began); i < free && d != 0 {
						t.Fatalf("connection %d has waited for %s", i, d)
					}
				}
				if least := (n-1)*each - handshakeAhead; time.Since(began) < least {
					t.Errorf("%d were answered in %s, want at least %s", n, time.Since(began), least)
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
