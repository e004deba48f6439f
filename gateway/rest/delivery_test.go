package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/rest"
	"portcullis/gateway/vault"
)

func TestDelivery(t *testing.T) {
	cases := map[string]struct {
		deliver, wrap string
		status        int
		want          call.Deliver
		ttl           time.Duration
	}{
		"nothing":       {status: http.StatusOK},
		"masked":        {deliver: "masked", status: http.StatusOK, want: call.Masked},
		"wrapped":       {deliver: "wrapped", status: http.StatusOK, want: call.Wrapped},
		"wrap TTL":      {wrap: "60s", status: http.StatusOK, want: call.Wrapped, ttl: time.Minute},
		"seconds":       {deliver: "wrapped", wrap: "90", status: http.StatusOK, want: call.Wrapped, ttl: 90 * time.Second},
		"unknown form":  {deliver: "Masked", status: http.StatusBadRequest},
		"contradiction": {deliver: "plain", wrap: "60s", status: http.StatusBadRequest},
		"no duration":   {wrap: "soon", status: http.StatusBadRequest},
		"zero":          {wrap: "0", status: http.StatusBadRequest},
		"negative":      {wrap: "-60s", status: http.StatusBadRequest},
		"too long":      {wrap: "25h", status: http.StatusBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url, got := server(t, nil)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/secrets/app", nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range map[string]string{"X-Portcullis-Deliver": tc.deliver, "X-Vault-Wrap-TTL": tc.wrap} {
				if v != "" {
					req.Header.Set(k, v)
				}
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tc.status || got.Deliver != tc.want || got.WrapTTL != tc.ttl {
				t.Errorf("got status %d, %q, %v; want %d, %q, %v", resp.StatusCode, got.Deliver, got.WrapTTL, tc.status, tc.want, tc.ttl)
			}
		})
	}
}

// TestAHeaderThatIsThereTwiceIsRefused: none of two is taken for what is asked.
func TestAHeaderThatIsThereTwiceIsRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"X-Portcullis-Deliver": {"plain", "masked"}, "X-Vault-Wrap-TTL": {"60", "3600"}, "X-Portcullis-Reason": {"a", "b"},
	} {
		url, got := server(t, nil)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/secrets/app", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header[http.CanonicalHeaderKey(name)] = values
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, %q, %q", name, resp.StatusCode, got.Deliver, got.Reason)
		}
	}
}

func TestCachedAnswer(t *testing.T) {
	cases := map[string]struct {
		use      vault.CacheUse
		hit, age string
	}{
		"not asked": {},
		"miss":      {use: vault.CacheUse{Asked: true}, hit: "MISS"},
		"hit":       {use: vault.CacheUse{Asked: true, Hit: true, Age: 2500 * time.Millisecond}, hit: "HIT", age: "2"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := answer(t, &op.Result{Body: []byte(`{}`), Cache: tc.use})
			if h.Get("X-Cache") != tc.hit || h.Get("Age") != tc.age {
				t.Errorf("got X-Cache %q, Age %q; want %q, %q", h.Get("X-Cache"), h.Get("Age"), tc.hit, tc.age)
			}
		})
	}
}

// answer returns the headers that a result is sent with.
func answer(t *testing.T, res *op.Result) http.Header {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	e := edge.New(edge.Config{
		Authenticate: func(*http.Request) (*call.Caller, error) { return &call.Caller{Subject: "a"}, nil },
		ClientIP:     func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute, Loopback: true,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	api := rest.API{Do: func(context.Context, *op.Request) (*op.Result, error) { return res, nil }}
	if err := api.Mount(e, cat); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/secrets/app", nil))
	return w.Result().Header
}
