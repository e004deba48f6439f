package edge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/obs"
)

func newEdge(change func(*edge.Config)) *edge.Edge {
	c := edge.Config{
		Authenticate: func(r *http.Request) (*call.Caller, error) {
			if r.Header.Get("X-API-Key") != "good" {
				return nil, call.Errorf(call.Unauthenticated, "no valid credential")
			}
			return &call.Caller{Subject: "a"}, nil
		},
		Challenge: func(*http.Request, *call.Error) string { return "Bearer" },
		Anonymous: func(error) bool { return false },
		ClientIP:  func(*http.Request) string { return "127.0.0.1" },
		MaxBody:   64, BodyTimeout: time.Minute, Loopback: true, Origins: []string{"https://app.example"},
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	}
	if change != nil {
		change(&c)
	}
	e := edge.New(c)
	e.Public("GET", "/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "live") })
	e.Handle("GET", "/secrets/*path", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		fmt.Fprint(w, r.PathValue("path"))
	})
	e.Handle("POST", "/body", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		raw, err := edge.ReadBody(r)
		if err != nil {
			edge.WriteError(w, err, "")
			return
		}
		edge.WriteJSON(w, 200, raw)
	})
	e.Handle("GET", "/stream", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		select {
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond):
			fmt.Fprint(w, "goes on")
		}
	})
	e.Handle("GET", "/panic", func(http.ResponseWriter, *http.Request, *call.Caller) { panic("canary") })
	return e
}

// do sends a request whose target is taken as it is.
func do(e http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	r.Host = "127.0.0.1:8089"
	u, err := r.URL.Parse("http://127.0.0.1:8089" + target)
	if err != nil {
		panic(err)
	}
	r.URL, r.RequestURI = u, target
	r.Header.Set("X-API-Key", "good")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

// TestS06_UncleanPathIsRefused and S28: the escaped path is judged before the
// router decodes it.
func TestS06_UncleanPathIsRefused(t *testing.T) {
	e := newEdge(nil)
	for _, p := range []string{
		"/secrets/a/%2e%2e/%2e%2e/sys", "/secrets/a/%2E%2E/b", "/secrets/%252e%252e/x", "/secrets/a%2f..%2fb", "/secrets/a%2f", "/secrets/%2fa",
		"/secrets/a%2f%2fb", "/secrets//a", "//secrets/a", "/secrets/a//", "/secrets/a%00b", "/secrets/a%0ab",
		"/secrets/%2e/a", "/secrets/a%7fb", "/secrets/%ff", "/secrets/a%2f%2e", "/secrets/a%e2%80%8fb",
	} {
		if w := do(e, "GET", p); w.Code != http.StatusBadRequest || code(t, w) != call.InvalidRequest {
			t.Errorf("%s: got %d %s, want 400", p, w.Code, w.Body)
		}
	}
	for p, want := range map[string]string{
		"/secrets/a": "a", "/secrets/a/b": "a/b", "/secrets/a%20b": "a b", "/secrets/%C3%BC": "ü", "/secrets/a%2Fb": "a/b", "/secrets/a/": "a/",
		"/secrets/a%23b": "a#b", "/secrets/a%3Flist=true": "a?list=true", "/secrets/a%5cb": `a\b`, "/secrets/a%25b": "a%b", "/secrets/a%252fb": "a%2fb",
		"/secrets/a+b": "a+b", "/secrets/host:5432": "host:5432", "/secrets/host%3A5432": "host:5432", "/secrets/~": "~",
	} {
		if w := do(e, "GET", p); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: got %d %q, want %q", p, w.Code, w.Body, want)
		}
	}
}

// TestS02_HostAndOrigin is the matrix of names on a loopback listener.
func TestS02_HostAndOrigin(t *testing.T) {
	e := newEdge(nil)
	for _, c := range []struct {
		header []string
		want   int
	}{
		{[]string{"Host", "localhost:1"}, 200},
		{[]string{"Host", "[::1]:8089"}, 200},
		{[]string{"Host", "evil.example"}, 403},
		{[]string{"Host", "127.0.0.1.evil.example"}, 403},
		{[]string{"Host", "localhost.evil.example:8089"}, 403},
		{[]string{"Origin", "https://app.example"}, 200},
		{[]string{"Origin", "http://127.0.0.1:8089"}, 200},
		{[]string{"Origin", "https://127.0.0.1:8089"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "https://app.example.evil.example"}, 403},
		{[]string{"Origin", "https://evil.example"}, 403},
	} {
		for _, path := range []string{"/livez", "/secrets/a"} {
			if w := do(e, "GET", path, c.header...); w.Code != c.want {
				t.Errorf("%s %v: got %d, want %d", path, c.header, w.Code, c.want)
			}
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://127.0.0.1:8089/livez", nil)
	r.Header["Origin"] = []string{"", "https://evil.example"}
	if e.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("two origins: got %d, want 403", w.Code)
	}
	open := newEdge(func(c *edge.Config) { c.Loopback = false; c.AllowedHosts = []string{"gate.example"} })
	if w := do(open, "GET", "/livez", "Host", "gate.example"); w.Code != 200 {
		t.Errorf("configured host: got %d", w.Code)
	}
	if w := do(open, "GET", "/livez", "Host", "127.0.0.1"); w.Code != 403 {
		t.Errorf("host that is not configured: got %d, want 403", w.Code)
	}
}

// TestMethods: what Allow names works, and health can be asked for by HEAD.
func TestMethods(t *testing.T) {
	e := newEdge(nil)
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"HEAD", "/livez", 200, ""},
		{"OPTIONS", "/livez", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/secrets/a", 204, "GET, OPTIONS"},
		{"PUT", "/secrets/a", 405, "GET, OPTIONS"},
		{"HEAD", "/secrets/a", 405, "GET, OPTIONS"},
		{"OPTIONS", "/nowhere", 404, ""},
	} {
		if w := do(e, tc.method, tc.path); w.Code != tc.status || w.Header().Get("Allow") != tc.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", tc.method, tc.path, w.Code, w.Header().Get("Allow"), tc.status, tc.allow)
		}
	}
	r := httptest.NewRequest("POST", "http://127.0.0.1:8089/body", strings.NewReader("{}"))
	for encoding, want := range map[string]int{"identity": 200, "gzip": 415} {
		r.Header.Set("X-API-Key", "good")
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		if e.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Content-Encoding %s: got %d, want %d", encoding, w.Code, want)
		}
	}
}

func TestPreflight(t *testing.T) {
	e := newEdge(nil)
	w := do(e, "OPTIONS", "/mcp", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w := do(e, "OPTIONS", "/mcp", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"); w.Code != 403 {
		t.Errorf("foreign origin: got %d, want 403", w.Code)
	}
}

func TestRefusals(t *testing.T) {
	e := newEdge(nil)
	w := do(e, "GET", "/secrets/a", "X-API-Key", "bad")
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" || code(t, w) != call.Unauthenticated {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := do(e, "GET", "/nowhere"); w.Code != 404 || code(t, w) != call.UnknownOperation {
		t.Errorf("unknown route: got %d %s", w.Code, w.Body)
	}
	if w := do(e, "PUT", "/livez"); w.Code != 405 || code(t, w) != call.MethodNotAllowed {
		t.Errorf("wrong method: got %d %s", w.Code, w.Body)
	}
	if w := do(e, "GET", "/livez/"); w.Code != 200 || w.Header().Get("Location") != "" {
		t.Errorf("trailing slash: got %d %v, want the route itself and no redirect", w.Code, w.Header())
	}
	if w := do(e, "GET", "/panic"); w.Code != 500 || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("panic: got %d %s", w.Code, w.Body)
	}
}

func TestRequestID(t *testing.T) {
	e := newEdge(nil)
	if got := do(e, "GET", "/livez", "X-Request-Id", "abc-1").Header().Get("X-Request-Id"); got != "abc-1" {
		t.Errorf("got %q, want it echoed", got)
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 200), "a\"b"} {
		if got := do(e, "GET", "/livez", "X-Request-Id", bad).Header().Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("%q: got %q, want a fresh one", bad, got)
		}
	}
}

// TestBody runs over a real connection, because the deadline needs one.
func TestBody(t *testing.T) {
	s := httptest.NewServer(newEdge(func(c *edge.Config) { c.BodyTimeout = 50 * time.Millisecond }))
	defer s.Close()
	post := func(body io.Reader, encoding string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/body", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", "good")
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(raw)
	}
	if c, b := post(strings.NewReader(`{"a":1}`), ""); c != 200 || b != `{"a":1}` {
		t.Errorf("got %d %s", c, b)
	}
	if c, b := post(strings.NewReader(strings.Repeat("x", 65)), ""); c != 413 || !strings.Contains(b, "body_too_large") {
		t.Errorf("too large: got %d %s", c, b)
	}
	if c, _ := post(strings.NewReader("x"), "gzip"); c != 415 {
		t.Errorf("encoded: got %d", c)
	}
	pr, pw := io.Pipe()
	defer func() { _ = pw.Close() }()
	go func() { _, _ = pw.Write([]byte("{")) }()
	if c, _ := post(pr, ""); c != 400 {
		t.Errorf("a body that never ends: got %d, want 400", c)
	}
}

// TestBodyThatNobodyReads: a body that never ends holds neither its answer nor its
// connection, also when it is not read at all.
func TestBodyThatNobodyReads(t *testing.T) {
	s := httptest.NewServer(newEdge(func(c *edge.Config) { c.BodyTimeout = 50 * time.Millisecond }))
	t.Cleanup(s.Close)
	for _, tc := range []struct{ request, status string }{
		{"POST /body HTTP/1.1\r\nX-API-Key: bad", "401"},
		{"POST /body HTTP/1.1\r\nX-API-Key: good\r\nOrigin: https://evil.example", "403"},
		{"POST /body HTTP/1.1\r\nX-API-Key: good\r\nContent-Encoding: gzip", "415"},
		{"GET /livez HTTP/1.1", "200"},
		{"GET /secrets/a HTTP/1.1\r\nX-API-Key: good", "400"},
		{"GET /nowhere HTTP/1.1", "404"},
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, tc.request+"\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn) // which ends when the server ends it
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+tc.status) {
			t.Errorf("%s: got %.300s %v", tc.request, got, err)
		}
		_ = conn.Close()
	}
}

// TestStreamBehindABody: a stream whose request had a body, which nobody asked for,
// outlives the time of a body.
func TestStreamBehindABody(t *testing.T) {
	s := httptest.NewServer(newEdge(func(c *edge.Config) { c.BodyTimeout = 50 * time.Millisecond }))
	t.Cleanup(s.Close)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/stream", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "good")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "goes on" {
		t.Errorf("got %q %v", got, err)
	}
}

func TestEveryCodeHasAStatus(t *testing.T) {
	for _, c := range call.Codes() {
		if s := edge.Status(c); s < 400 || (s == 500) != (c == call.Internal) {
			t.Errorf("%s: status %d", c, s)
		}
	}
}

func code(t *testing.T, w *httptest.ResponseRecorder) call.Code {
	t.Helper()
	var b edge.ErrorBody
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	if b.Detail == "" || b.Error.RequestID == "" {
		t.Errorf("%s: no detail or request id", w.Body)
	}
	return b.Error.Code
}

func TestParameter(t *testing.T) {
	for pattern, want := range map[string]string{
		"/secrets": "", "/secrets/*path": "path", "/kv/*path:destroy": "path", "/kv/*path/": "path",
		"/db/creds/:role": "role", "/decisions/:id/trace": "id",
	} {
		if got := edge.Parameter(pattern); got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

// TestARefusalEndsAConnectionOfACrowd: an answer to who is served does not.
func TestARefusalEndsAConnectionOfACrowd(t *testing.T) {
	for key, refused := range map[string]bool{"good": false, "bad": true} {
		for _, crowded := range []bool{true, false} {
			s := httptest.NewServer(newEdge(func(c *edge.Config) { c.Crowded = func(*http.Request) bool { return crowded } }))
			r, err := http.NewRequest(http.MethodGet, s.URL+"/secrets/x", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-API-Key", key)
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.Close != (refused && crowded) {
				t.Errorf("key %s, crowded %v: answered %d, and the connection ends: %v", key, crowded, resp.StatusCode, resp.Close)
			}
			s.Close()
		}
	}
}
