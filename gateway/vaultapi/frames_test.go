package vaultapi

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// one is a listener with one connection.
type one chan net.Conn

func (o one) Accept() (net.Conn, error) {
	if c, ok := <-o; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (o one) Addr() net.Addr { return &net.TCPAddr{} }
func (o one) Close() error   { close(o); return nil }

// TestPingsWithoutEndAreReadSlowly: each of a subscriber's is answered, and takes its time.
func TestPingsWithoutEndAreReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := make(one, 1)
		here, there := net.Pipe()
		l <- there
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, slowly())
			if err != nil {
				t.Error(err)
				return
			}
			<-conn.CloseRead(r.Context()).Done()
		})}
		go func() { _ = srv.Serve(l) }()
		defer func() { _ = srv.Close() }()
		tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return here, nil }}
		conn, _, err := websocket.Dial(t.Context(), "ws://x/", &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		ctx := conn.CloseRead(t.Context())
		const n = 100
		began := time.Now()
		for i := range n {
			if err := conn.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); i == 0 && d != 0 {
				t.Errorf("the first one has waited for %s", d)
			}
		}
		if least := (n - 1) * frameEvery; time.Since(began) < least {
			t.Errorf("%d were answered in %s, want at least %s", n, time.Since(began), least)
		}
	})
}
