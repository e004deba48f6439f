package vaultapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/vaultapi"
)

// facade is the API in front of operations that all answer the same.
func facade(f *testing.F, calls *[]*op.Request) *edge.Edge {
	f.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		f.Fatal(err)
	}
	login := func(*http.Request) (*call.Caller, error) { return &call.Caller{Subject: "a"}, nil }
	sessions := &vaultapi.Sessions{Login: login, Valid: func(*call.Caller) error { return nil }}
	sessions.Resume = func(_ *http.Request, c *call.Caller) (*call.Caller, error) {
		if c == nil {
			return nil, call.Errorf(call.Unauthenticated, "unknown")
		}
		return c, nil
	}
	api := vaultapi.API{
		Catalogue: cat, Sessions: sessions, Ready: func(context.Context) error { return nil },
		Admit: func(_ context.Context, r *op.Request) error { return r.Bad },
		Change: func(ctx context.Context, r *op.Request, act func(context.Context) error) error {
			if r.Bad != nil {
				return r.Bad
			}
			return act(ctx)
		},
		May: func(_ context.Context, r *op.Request) (bool, error) {
			_, err := cat.Bind(r)
			return err == nil, err
		},
		Wrapped: func(*call.Caller, call.Secret) (string, time.Time, time.Duration, bool) {
			return "", time.Time{}, 0, false
		},
		Do: func(_ context.Context, r *op.Request) (*op.Result, error) {
			*calls = append(*calls, r)
			if _, err := cat.Bind(r); err != nil {
				return &op.Result{}, err
			}
			return &op.Result{Body: []byte(`{"ok":true,"version":1,"data":{"a":"b"},"keys":["x"]}`), Status: cat.Get(r.Op).Status}, nil
		},
	}
	e := edge.New(edge.Config{
		Authenticate: sessions.Authenticate, Errors: vaultapi.Errors, Loopback: true,
		ClientIP: func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	api.Mount(e)
	return e
}

// FuzzVaultAPI: whatever the method, the target, a header and the body of a request below
// /v1/ are, the answer is a JSON object with a status of Vault's, and a call that comes of
// it is of the catalogue, on a mount that there is, and names no unclean path.
func FuzzVaultAPI(f *testing.F) {
	for i, target := range []string{
		"secret/data/a", "secret/metadata/a?list=true", "secret/data/a?version=2", "secret/destroy/a", "secret/subkeys/a?depth=1", "secret/data/%2e%2e/x", "secret/data/a%2Fb", "secret//data/a",
		"transit/encrypt/k", "transit/sign/k/sha2-256", "transit/datakey/plaintext/k", "database/creds/r", "ssh/creds/r", "ssh/sign/r", "sys/leases/renew", "sys/leases/revoke", "sys/wrapping/unwrap",
		"sys/internal/ui/mounts/secret/x", "sys/health?standbyok=true", "auth/token/lookup-self", "auth/approle/login", "auth/jwt/login", "sys/seal", "%", "",
	} {
		f.Add(i, target, "60", []byte(`{"data":{"a":1},"options":{"cas":0}}`))
		f.Add(i+1, target, "1h", []byte(`{"batch_input":[{"plaintext":"YQ=="}],"lease_id":"database/creds/r/x","versions":["1"],"token":"s.x"}`))
	}
	methods := []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, "LIST", http.MethodHead, "SCAN"}
	headers := []string{"X-Vault-Wrap-TTL", "X-Vault-Namespace", "X-Vault-Token", "Authorization", "Content-Type", "Traceparent", "X-Vault-Request", "X-Vault-Index"}
	var calls []*op.Request
	handler := facade(f, &calls)
	f.Fuzz(func(t *testing.T, n int, target, value string, body []byte) {
		u, err := url.ParseRequestURI(vaultapi.Prefix + target)
		if err != nil || u.Host != "" || strings.ContainsAny(value, "\r\n\x00") {
			return // net/http answers these itself
		}
		calls = calls[:0]
		r := httptest.NewRequest(methods[uint(n)%uint(len(methods))], "/", bytes.NewReader(body))
		r.URL, r.RequestURI = u, vaultapi.Prefix+target
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(headers[uint(n/8)%uint(len(headers))], value)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 || w.Code == http.StatusInternalServerError {
			t.Errorf("%s %q: got %d %s", r.Method, target, w.Code, w.Body)
		}
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/") {
			t.Errorf("%s %q: got %q", r.Method, target, w.Body)
		}
		for _, c := range calls {
			if c.Caller == nil || c.Transport != op.VaultAPI || strings.Contains(c.Mount, "..") {
				t.Errorf("%s %q: the call %+v", r.Method, target, c)
			}
		}
	})
}
