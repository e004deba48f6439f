package auth_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/call"
)

// TestAStreamEndsWithItsCredential holds a stream open and takes the credential
// away in every way.
func TestAStreamEndsWithItsCredential(t *testing.T) {
	for name, end := range map[string]func(*world, *call.Caller){
		"revoked by file": func(w *world, c *call.Caller) {
			if err := deny.Revoke(io.Discard, w.cfg.DenyListFile, deny.Entry{Subject: c.Subject}); err != nil {
				w.t.Error(err)
			}
		},
		"revoked by token id": func(w *world, c *call.Caller) { w.revoke(deny.Entry{TokenID: c.TokenID}) },
		"revoked by key id":   func(w *world, c *call.Caller) { w.revoke(deny.Entry{KeyID: c.KeyID}) },
		"revoked by serial":   func(w *world, c *call.Caller) { w.revoke(deny.Entry{Serial: c.CertSerial}) },
		"key removed":         func(w *world, _ *call.Caller) { w.rewrite(w.chain, "jwks.json", authtest.JWKS(w.rs)) },
		"key of the same id": func(w *world, _ *call.Caller) {
			w.rewrite(w.chain, "jwks.json", authtest.JWKS(w.rs, authtest.NewKey("ES256", w.es.KID)))
		},
		"on the CRL": func(w *world, _ *call.Caller) { w.rewrite(w.chain, "crl.pem", w.ca.CRL(time.Hour, w.client)) },
		"CA removed": func(w *world, _ *call.Caller) { w.rewrite(w.chain, "ca.crt", w.otherCA.PEM()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			go w.chain.Run(t.Context())
			c, err := w.chain.Authenticate(w.get(bearer(w.good(nil)), with(w.client)))
			if err != nil {
				t.Fatal(err)
			}
			other, err := w.chain.Authenticate(w.get(header("X-API-Key", apiKey)))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.chain.Valid(c); err != nil {
				t.Fatal(err)
			}
			changed := w.chain.Changed()
			end(w, c)
			for w.chain.Valid(c) == nil {
				select {
				case <-changed:
					changed = w.chain.Changed()
				case <-t.Context().Done():
					t.Fatal("the stream goes on")
				}
			}
			if err := w.chain.Valid(c); !call.Is(err, call.Unauthenticated) {
				t.Errorf("got %v", err)
			}
			if err := w.chain.Valid(other); err != nil {
				t.Errorf("another caller: got %v", err)
			}
		})
	}
}

func (w *world) revoke(e deny.Entry) {
	line, err := json.Marshal(e)
	if err := errors.Join(err, w.chain.ReplaceDenied(line)); err != nil {
		w.t.Error(err)
	}
}

func TestACallerIsValidUntilTheTokenExpires(t *testing.T) {
	w := newWorld(t) // keys take real time
	synctest.Test(t, func(t *testing.T) {
		w.cfg.TLS, w.cfg.MTLS = auth.Config{}.TLS, auth.MTLS{}
		ch := open(t, w.cfg)
		start := time.Now()
		c, err := ch.Authenticate(w.get(bearer(w.good(map[string]any{"exp": start.Add(time.Minute).Unix(), "iat": nil}))))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(90*time.Second - 1) // a minute and the clock skew
		if err := ch.Valid(c); err != nil {
			t.Errorf("before the end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := ch.Valid(c); !call.Is(err, call.Unauthenticated) {
			t.Errorf("at the end: %v", err)
		}
		if _, err := ch.Authenticate(w.get(header("Authorization", "Bearer x"))); err == nil {
			t.Error("accepted")
		}
	})
}

// TestRevokedOnTheNextCall revokes a caller whose token is remembered.
func TestS31_RevokedOnTheNextCall(t *testing.T) {
	w := newWorld(t)
	req := w.get(bearer(w.good(nil)))
	for range 3 {
		if _, err := w.chain.Authenticate(req); err != nil {
			t.Fatal(err)
		}
	}
	if err := deny.Revoke(io.Discard, w.cfg.DenyListFile, deny.Entry{Subject: "bot"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.chain.Authenticate(req); !call.Is(err, call.Unauthenticated) {
		t.Errorf("on the next call: got %v", err)
	}
}

// TestKeysRotateWhileClientsCall changes the issuer's key again and again while
// eight clients call: no valid token is refused, and when a key is gone its
// tokens are too, however often they were accepted before.
func TestKeysRotateWhileClientsCall(t *testing.T) {
	first := authtest.NewKey("ES256", "0")
	issuer := authtest.NewIssuer(first)
	t.Cleanup(issuer.Close)
	ch := open(t, auth.Config{
		DefaultPrefix: path(t, "mcp"),
		JWT:           auth.JWT{Enabled: true, JWKSURL: issuer.JWKSURL(), Issuers: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"}},
	})
	var token atomic.Value
	token.Store(first.Sign(authtest.Claims("bot", nil)))
	accept := func(tok string) error {
		_, err := ch.Authenticate(request("Authorization: Bearer " + tok))
		return err
	}
	stop := make(chan struct{})
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := accept(token.Load().(string)); err != nil {
					t.Errorf("a valid token was refused: %v", err)
					return
				}
				calls.Add(1)
			}
		})
	}
	old := first
	for _, kid := range []string{"1", "2", "3"} {
		next := authtest.NewKey("ES256", kid)
		issuer.Publish(old, next) // both, while tokens of the old key are about
		token.Store(next.Sign(authtest.Claims("bot", nil)))
		for before := calls.Load(); calls.Load() < before+100 && !t.Failed(); {
			if err := accept(old.Sign(authtest.Claims("bot", nil))); err != nil {
				t.Fatalf("a token of the old key while it is published: %v", err)
			}
		}
		old = next
	}
	close(stop)
	wg.Wait()
	gone := token.Load().(string)
	last := authtest.NewKey("ES256", "4")
	issuer.Publish(last)
	if err := accept(last.Sign(authtest.Claims("bot", nil))); err != nil {
		t.Errorf("the last key: %v", err)
	}
	if err := accept(gone); err == nil {
		t.Error("a token of a removed key was accepted, though it was remembered")
	}
	if n := issuer.Fetches.Load(); n > 10 {
		t.Errorf("got %d fetches for 4 rotations and %d calls", n, calls.Load())
	}
}

func TestDenyListThatIsBrokenIsReported(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.cfg.DenyListFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.chain.Reload()
	if w.chain.Health() == nil {
		t.Error("nothing is said about it")
	}
	if _, err := w.chain.Authenticate(w.get(bearer(w.good(map[string]any{"sub": "banned"})))); err == nil {
		t.Error("who was denied is not any more")
	}
}
