package vaultapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/vaultapi"
)

// TestTheOutcomeOfASessionIsWhatCameOfIt: a login, a further session and a subscription are
// on record as begun only where they were. No session is made from a token that is bound to
// a key, and this caller has no place for a stream.
func TestTheOutcomeOfASessionIsWhatCameOfIt(t *testing.T) {
	for _, tc := range []struct {
		path, body, jkt string
		op              string
		code            call.Code // of the outcome, empty for none
	}{
		{path: "POST auth/token/create", op: "vault.session"},
		{path: "POST auth/token/create", jkt: "k", op: "vault.session", code: call.InvalidRequest},
		{path: "POST auth/token/create", body: `{"ttl":"x"}`, op: "vault.session", code: call.InvalidRequest},
		{path: "POST auth/jwt/login", body: `{"jwt":"x"}`, op: "vault.login"},
		{path: "POST auth/jwt/login", body: `{"jwt":"x"}`, jkt: "k", op: "vault.login", code: call.InvalidRequest},
		{path: "GET sys/events/subscribe/kv*?json=true", op: "events.stream", code: call.RateLimited},
	} {
		var came []string
		api := recorded(t, tc.jkt, func(r *op.Request, err error) {
			code := call.Code("")
			if err != nil {
				code = call.AsError(err).Code
			}
			came = append(came, r.Op+" "+string(code))
		})
		method, path, _ := strings.Cut(tc.path, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1/v1/"+path, strings.NewReader(tc.body))
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("X-Vault-Token", "x")
		if strings.HasSuffix(path, "login") {
			r.Header.Del("X-Vault-Token")
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if want := tc.op + " " + string(tc.code); len(came) != 1 || came[0] != want {
			t.Errorf("%s (%s): on record is %q, want %q; answered %d %s", tc.path, tc.jkt, came, want, w.Code, w.Body)
		}
	}
}

// recorded is the API for a caller whose token is bound to a key, or is not, and that has
// no place for a stream.
func recorded(t *testing.T, jkt string, outcome func(*op.Request, error)) http.Handler {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	login := func(*http.Request) (*call.Caller, error) { return &call.Caller{Subject: "a", JKT: jkt}, nil }
	sessions := &vaultapi.Sessions{Login: login, Valid: func(*call.Caller) error { return nil }}
	api := vaultapi.API{
		Catalogue: cat, Sessions: sessions, Ready: func(context.Context) error { return nil },
		Admit: func(_ context.Context, r *op.Request) error { return r.Bad },
		Change: func(ctx context.Context, r *op.Request, act func(context.Context) error) error {
			if r.Bad != nil {
				return r.Bad
			}
			err := act(ctx)
			outcome(r, err)
			return err
		},
		Topics: func(*call.Caller) []events.Topic { return nil },
		Events: events.New(events.Config{Hold: func(*call.Caller) (func(), error) {
			return nil, call.Errorf(call.RateLimited, "no place for a stream")
		}}),
	}
	e := edge.New(edge.Config{
		Authenticate: sessions.Authenticate, Errors: vaultapi.Errors, Loopback: true,
		Anonymous: func(error) bool { return true },
		ClientIP:  func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	api.Mount(e)
	return e
}
