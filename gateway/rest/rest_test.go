package rest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/rest"
)

// server serves the catalogue; each call that gets through is bound and kept in got.
func server(t *testing.T, answer error) (url string, got *op.Request) {
	t.Helper()
	e, got := handler(t, answer)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s.URL, got
}

// handler is what server serves.
func handler(t testing.TB, answer error) (e *edge.Edge, got *op.Request) {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	got = &op.Request{}
	api := rest.API{Do: func(_ context.Context, r *op.Request) (*op.Result, error) {
		*got = *r
		res := &op.Result{DecisionID: "d1"}
		if _, err := cat.Bind(r); err != nil {
			return res, err
		}
		if answer != nil {
			return res, answer
		}
		res.Body, res.Status = []byte(`{"ok":true}`), cat.Get(r.Op).Status
		return res, nil
	}}
	e = edge.New(edge.Config{
		Authenticate: func(*http.Request) (*call.Caller, error) { return &call.Caller{Subject: "a"}, nil },
		ClientIP:     func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute, Loopback: true,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	if err := api.Mount(e, cat); err != nil {
		t.Fatal(err)
	}
	return e, got
}

func send(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestRequestBecomesACall(t *testing.T) {
	url, got := server(t, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		op, args           string
	}{
		{"GET", "/secrets/app", "", 200, "kv.read", `{"path":"app"}`},
		{"GET", "/secrets/a/b?version=3", "", 200, "kv.read", `{"path":"a/b","version":3}`},
		{"PUT", "/secrets/app", `{ "data": {"k": 1} , "cas" : 2}`, 200, "kv.write", `{"path":"app","data":{"k":1},"cas":2}`},
		{"DELETE", "/secrets/app", "", 204, "kv.delete", `{"path":"app"}`},
		{"DELETE", "/secrets/app?all=true", "", 204, "kv.delete", `{"path":"app","all":"true"}`},
		{"GET", "/secrets", "", 200, "kv.list", `{}`},
		{"GET", "/secrets/", "", 200, "kv.list", `{}`},
		{"GET", "/whoami/", "", 200, "self.whoami", `{}`},
		{"HEAD", "/secrets/app", "", 200, "kv.read", `{"path":"app"}`},
		{"GET", "/secrets/team%2Fapp", "", 200, "kv.read", `{"path":"team/app"}`},
		{"GET", "/secrets/host:5432", "", 200, "kv.read", `{"path":"host:5432"}`},
		{"GET", "/secrets/a:metadata", "", 200, "kv.metadata", `{"path":"a"}`},
		{"GET", "/secrets/a%3Ametadata", "", 200, "kv.read", `{"path":"a:metadata"}`},
		{"GET", "/secrets/a%3Ametadata:metadata", "", 200, "kv.metadata", `{"path":"a:metadata"}`},
		{"GET", "/secrets/a:", "", 200, "kv.read", `{"path":"a:"}`},
		{"GET", "/secrets/50%25%3F%23+", "", 200, "kv.read", `{"path":"50%?#+"}`},
		{"GET", "/kv/secret/shared/50%25", "", 200, "kv.read", `{"path":"kv://secret/shared/50%25"}`},
		{"POST", "/kv/secret/shared/a:undelete", `{"versions":[1]}`, 200, "kv.undelete", `{"path":"kv://secret/shared/a","versions":[1]}`},
		{"GET", "/kv/secret/shared/", "", 200, "kv.list", `{"prefix":"kv://secret/shared"}`},
		{"POST", "/secrets", `{"paths":["a"]}`, 200, "kv.read_many", `{"paths":["a"]}`},
		{"GET", "/secrets?prefix=team%20a/", "", 200, "kv.list", `{"prefix":"team a/"}`},
		{"GET", "/whoami", "", 200, "self.whoami", `{}`},
		{"GET", "/debug/echo", "", 200, "self.echo", `{"headers":{"accept-encoding":"[redacted]","user-agent":"[redacted]","x-request-id":"[redacted]"}}`},
	} {
		status, body := send(t, c.method, url+c.path, c.body)
		if status != c.status || got.Op != c.op || string(got.Args) != c.args || got.Transport != op.REST || got.ID == "" {
			t.Errorf("%s %s: got %d %s %s %s", c.method, c.path, status, got.Op, got.Args, body)
		}
	}
}

func TestBadRequests(t *testing.T) {
	url, _ := server(t, nil)
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"path twice":         {"PUT", "/secrets/a", `{"path":"b","data":{}}`, 400},
		"duplicate key":      {"PUT", "/secrets/a", `{"data":{},"data":{}}`, 400},
		"duplicate in depth": {"PUT", "/secrets/a", `{"data":{"x":1,"x":2}}`, 400},
		"other case":         {"PUT", "/secrets/a", `{"Data":{}}`, 400},
		"unknown key":        {"PUT", "/secrets/a", `{"data":{},"x":1}`, 400},
		"no data":            {"PUT", "/secrets/a", `{}`, 400},
		"data is a list":     {"PUT", "/secrets/a", `{"data":[]}`, 400},
		"data is null":       {"PUT", "/secrets/a", `{"data":null}`, 400},
		"trailing garbage":   {"PUT", "/secrets/a", `{"data":{}} x`, 400},
		"two objects":        {"PUT", "/secrets/a", `{"data":{}}{}`, 400},
		"not a number":       {"PUT", "/secrets/a", `{"data":{"x":NaN}}`, 400},
		"deep":               {"PUT", "/secrets/a", `{"data":{"x":` + deep + `}}`, 400},
		"not an object":      {"PUT", "/secrets/a", `[1]`, 400},
		"byte order mark":    {"PUT", "/secrets/a", "\ufeff" + `{"data":{}}`, 400},
		"invalid UTF-8":      {"PUT", "/secrets/a", "{\"data\":{\"a\":\"\xff\"}}", 400},
		"cas is a word":      {"PUT", "/secrets/a", `{"data":{},"cas":"one"}`, 400},
		"cas is negative":    {"PUT", "/secrets/a", `{"data":{},"cas":-1}`, 400},
		"cas is a fraction":  {"PUT", "/secrets/a", `{"data":{},"cas":1.5}`, 400},
		"body too large":     {"PUT", "/secrets/a", `{"data":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, 413},
		"version":            {"GET", "/secrets/a?version=x", "", 400},
		"version twice":      {"GET", "/secrets/a?version=1&version=2", "", 400},
		"huge version":       {"GET", "/secrets/a?version=99999999999999999999", "", 400},
		"headers as a query": {"GET", "/debug/echo?headers=x", "", 400},
		"unknown query":      {"GET", "/secrets/a?list=true", "", 400},
		"query on a write":   {"PUT", "/secrets/a?cas=1", `{"data":{}}`, 400},
		"body on a read":     {"GET", "/secrets/a", `{}`, 400},
		"trailing slash":     {"GET", "/secrets/a/", "", 400},
		"verb of another":    {"GET", "/secrets/a:undelete", "", 405},
		"slash in a name":    {"GET", "/transit/public_key/a%2Fb", "", 400},
		"prefix":             {"GET", "/secrets?prefix=../x", "", 400},
		"long name":          {"GET", "/secrets/" + strings.Repeat("a", 10_000), "", 400},
	} {
		status, body := send(t, c.method, url+c.path, c.body)
		if status != c.status || !strings.Contains(body, `"code":"`) {
			t.Errorf("%s: got %d %s, want %d and a code", name, status, body, c.status)
		}
	}
	if status, _ := send(t, "PUT", url+"/secrets/a", `{"data":{}}`); status != 200 {
		t.Errorf("the call after them: got %d", status)
	}
}

// TestVerbIsMissing: who posts to a secret is told what can be done to it.
func TestVerbIsMissing(t *testing.T) {
	url, _ := server(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/secrets/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Allow"); resp.StatusCode != 405 || got != "DELETE, GET, HEAD, OPTIONS, PATCH, PUT" {
		t.Errorf("got %d, Allow %q", resp.StatusCode, got)
	}
}

// TestWhatLeadsToNoOperationIsOnRecord: a verb of another method is answered with what the
// record of it says, which is what it is, or that there were too many.
func TestWhatLeadsToNoOperationIsOnRecord(t *testing.T) {
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []op.Request
	api := rest.API{Admit: func(_ context.Context, r *op.Request) error {
		if seen = append(seen, *r); len(seen) > 2 {
			return call.Errorf(call.RateLimited, "slow down")
		}
		return r.Bad
	}}
	e := edge.New(edge.Config{
		Authenticate: func(*http.Request) (*call.Caller, error) { return &call.Caller{Subject: "a"}, nil },
		ClientIP:     func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute, Loopback: true,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	if err := api.Mount(e, cat); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/secrets/a:undelete", 405}, {"POST", "/secrets/a", 405}, {"GET", "/secrets/a/", 429}} {
		if status, body := send(t, c.method, s.URL+c.path, ""); status != c.status {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.path, status, body, c.status)
		}
	}
	for _, r := range seen {
		if r.Op != rest.Missed || r.Caller.Subject != "a" || r.ID == "" || r.Bad == nil || r.Transport != op.REST {
			t.Errorf("got %+v", r)
		}
	}
	if len(seen) != 3 {
		t.Errorf("got %d records, want 3", len(seen))
	}
}

func TestErrorsCarryTheDecision(t *testing.T) {
	url, _ := server(t, &call.Error{Code: call.RateLimited, Msg: "slow down", RetryAfter: 1500 * time.Millisecond})
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/secrets/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "2" || !strings.Contains(string(raw), `"decision_id":"d1"`) ||
		!strings.Contains(string(raw), `"detail":"Rate limit exceeded"`) {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, raw)
	}
}
