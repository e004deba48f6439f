package edge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// bounded makes budgets with one limit of a kind.
func bounded(k budget.Kind, l budget.Limit) *budget.Budgets {
	var t budget.Table
	t[k] = l
	return budget.New(t)
}

// patient waits until nothing of a kind is held.
func patient(t *testing.T, b *budget.Budgets, k budget.Kind) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.Used(k) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d of %s are still held", b.Used(k), k)
		}
	}
}

// TestAClientWithoutAWindowHoldsNothing: over HTTP/2, answers that nobody takes end
// with the write timeout, and no more than the budget are under way at once.
func TestAClientWithoutAWindowHoldsNothing(t *testing.T) {
	b := bounded(budget.Anonymous, budget.Limit{Address: 3, All: 10})
	asked := make(chan struct{}, 100)
	e := newEdge(func(c *edge.Config) {
		c.Budgets, c.WriteTimeout = b, 200*time.Millisecond
		c.Source = func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") }
	})
	e.Public("GET", "/large", func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	})
	c := dialH2(t, serveH2(t, e))
	var held []uint32
	for range 3 {
		held = append(held, c.get("/large"))
		<-asked
	}
	if got := c.await(c.get("/large")); string(got) != string([]byte{frameHeaders}) {
		t.Errorf("beyond the budget: got frames %v, want an answer without a body", got)
	}
	if got := c.await(c.get("/no/such/route")); string(got) != string([]byte{frameHeaders}) {
		t.Errorf("another route beyond the budget: got frames %v, want an answer without a body", got)
	}
	for _, id := range held[:1] {
		if got := c.await(id); got[len(got)-1] != frameReset {
			t.Errorf("an answer that nobody takes: got frames %v, want a reset", got)
		}
	}
	patient(t, b, budget.Anonymous)
}

// TestAnAnswerThatNobodyTakesEnds: over HTTP/1.1 as well, small answers included.
func TestAnAnswerThatNobodyTakesEnds(t *testing.T) {
	ended := make(chan error, 1)
	e := newEdge(func(c *edge.Config) { c.WriteTimeout = 200 * time.Millisecond })
	e.Public("GET", "/large", func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, strings.Repeat("x", 64<<20))
		ended <- err
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	if err := <-ended; err == nil {
		t.Error("64 MiB were written for a client that reads nothing")
	}
}

// TestTheDeadlineOfAnAnswerEndsWithIt: the next answer on the connection is not cut,
// however late it comes.
func TestTheDeadlineOfAnAnswerEndsWithIt(t *testing.T) {
	e := newEdge(func(c *edge.Config) { c.WriteTimeout = 50 * time.Millisecond })
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, path := range []string{"/livez", "/stream"} { // the second is silent for longer than the timeout
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: good\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

// TestAPlaceIsTakenBeforeTheBody: a caller whose places are taken is refused while its
// body has not come yet, and another caller is served.
func TestAPlaceIsTakenBeforeTheBody(t *testing.T) {
	b := bounded(budget.Requests, budget.Limit{Caller: 2, All: 100})
	e := newEdge(func(c *edge.Config) {
		c.Budgets = b
		c.Authenticate = func(r *http.Request) (*call.Caller, error) {
			return &call.Caller{Subject: r.Header.Get("X-API-Key")}, nil
		}
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	post := func(key, body string) net.Conn {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %s\r\nContent-Length: 8\r\n\r\n%s", key, body)
		return conn
	}
	answer := func(c net.Conn) *http.Response {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	first, second := post("a", "1"), post("a", "1") // seven bytes never come
	for b.Used(budget.Requests) < 2 {
		if resp, err := http.Get(s.URL + "/livez"); err == nil {
			_ = resp.Body.Close()
		}
	}
	if resp := answer(post("a", "1")); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("third of one caller: got %d, want 429 with Retry-After", resp.StatusCode)
	}
	if resp := answer(post("b", "12345678")); resp.StatusCode != http.StatusOK {
		t.Errorf("another caller: got %d, want 200", resp.StatusCode)
	}
	_, _ = first.Close(), second.Close()
	patient(t, b, budget.Requests)
}

// TestBytesInFlightAreBounded: announced and unannounced bodies of one caller and its
// large answers share its bytes, and give them back.
func TestBytesInFlightAreBounded(t *testing.T) {
	b := bounded(budget.Bytes, budget.Limit{Caller: 100 << 10, All: 1 << 20})
	e := newEdge(func(c *edge.Config) { c.Budgets, c.MaxBody = b, 1<<20 })
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	post := func(body io.Reader) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/body", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", "good")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	large := strings.Repeat("x", 101<<10)
	for name, c := range map[string]struct {
		body io.Reader
		want int
	}{
		"announced, too much":   {strings.NewReader(large), 429},
		"announced, fits":       {strings.NewReader(large[:60<<10]), 200},
		"a large answer":        {strings.NewReader(large[:70<<10]), 429}, // which echoes the body
		"unannounced, too much": {io.MultiReader(strings.NewReader(large[:66<<10]), strings.NewReader(large)), 429},
		"unannounced, fits":     {io.MultiReader(strings.NewReader(large[:60<<10])), 200},
	} {
		if got := post(c.body); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
		patient(t, b, budget.Bytes)
	}
}

// TestAStreamGivesThePlaceOfItsRequestBack: streams have places of their own, and no
// answer's deadline.
func TestAStreamGivesThePlaceOfItsRequestBack(t *testing.T) {
	b := bounded(budget.Requests, budget.Limit{Caller: 1, All: 10})
	e := newEdge(func(c *edge.Config) { c.Budgets, c.WriteTimeout = b, 20*time.Millisecond })
	goOn := make(chan struct{})
	e.Handle("GET", "/sse", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, "data: late\n\n")
	})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	get := func(path string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", "good")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	stream := get("/sse")
	defer stream.Body.Close()
	for range 3 { // longer than the write timeout, each of them
		if resp := get("/stream"); resp.StatusCode != http.StatusOK {
			t.Errorf("a request beside the stream: got %d, want 200", resp.StatusCode)
		}
	}
	close(goOn)
	if raw, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(raw), "late") {
		t.Errorf("got %q, %v, want the rest of the stream", raw, err)
	}
}

// TestProbesAreAnsweredThroughout: when anonymous requests have used everything up,
// and when memory or disk are short.
func TestProbesAreAnsweredThroughout(t *testing.T) {
	b := bounded(budget.Anonymous, budget.Limit{All: 1})
	if _, err := b.Reserve(budget.Who{}, budget.Anonymous, 1); err != nil {
		t.Fatal(err)
	}
	var short error
	e := newEdge(func(c *edge.Config) { c.Budgets, c.Short = b, func() error { return short } })
	e.Probe("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })
	for _, c := range []struct {
		path string
		err  error
		want int
	}{
		{"/readyz", nil, 200},
		{"/livez", nil, 503}, // public, but no probe
		{"/no/such", nil, 503},
		{"/secrets/a", nil, 200}, // a caller has places of its own
		{"/readyz", &call.Error{Code: call.Overloaded, Msg: "short"}, 200},
		{"/secrets/a", &call.Error{Code: call.Overloaded, Msg: "short"}, 503},
		{"/secrets/a", errors.Join(&call.Error{Code: call.AuditUnavailable, Msg: "short"}), 503},
	} {
		short = c.err
		w := do(e, "GET", c.path)
		if w.Code != c.want || (w.Code == 503 && w.Header().Get("Retry-After") == "") {
			t.Errorf("%s, short %v: got %d, want %d with Retry-After when refused", c.path, c.err, w.Code, c.want)
		}
	}
}

// TestOneAddressFillsItsShareOfTheLog: and nobody else's.
func TestOneAddressFillsItsShareOfTheLog(t *testing.T) {
	var log strings.Builder
	e := newEdge(func(c *edge.Config) {
		c.Budgets = bounded(budget.Logs, budget.Limit{Caller: 100 << 10, Address: 4 << 10, All: 1 << 20})
		c.Source = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("From")) }
		c.ClientIP = func(r *http.Request) string { return r.Header.Get("From") }
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	ask := func(from, key, path string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
		r.Header.Set("From", from)
		r.Header.Set("X-API-Key", key)
		e.ServeHTTP(httptest.NewRecorder(), r)
	}
	for range 200 {
		for _, path := range []string{"/livez", "/no/such", "/secrets/a"} {
			ask("192.0.2.1", "bad", path)
		}
	}
	loud := log.Len()
	if loud < 1<<10 || loud > 64<<10 { // a second's share, and what has come back meanwhile
		t.Errorf("%d bytes of log for one address", loud)
	}
	ask("192.0.2.1", "good", "/secrets/a")
	ask("192.0.2.2", "bad", "/secrets/a")
	if n := strings.Count(log.String()[loud:], "\n"); n != 2 {
		t.Errorf("a known caller and another address: got %d lines, want 2", n)
	}
}

// TestAnAnswerIsNotCountedTwice: what was taken while it was made is part of its room.
func TestAnAnswerIsNotCountedTwice(t *testing.T) {
	b := bounded(budget.Bytes, budget.Limit{Caller: 400 << 10, All: 1 << 20})
	e := newEdge(func(c *edge.Config) { c.Budgets = b })
	var used [2]int64
	e.Handle("GET", "/made", func(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
		if err := edge.Share(w)(300 << 10); err != nil {
			t.Error(err)
		}
		used[0] = b.Used(budget.Bytes)
		edge.WriteJSON(w, 200, []byte(strings.Repeat("x", 100<<10)))
		used[1] = b.Used(budget.Bytes)
	})
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/made", nil)
	r.Header.Set("X-API-Key", "good")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != 200 || used != [2]int64{300 << 10, 300 << 10} || b.Used(budget.Bytes) != 0 {
		t.Errorf("got %d, %v taken, %d left", w.Code, used, b.Used(budget.Bytes))
	}
}

// TestWhatIsWasted: requests for which there was no room, and those that were given up. What
// everybody is told who asks, as that Vault is away, is none, and neither is the end of a
// stream: who calls would wait before the next request for no fault of its own.
func TestWhatIsWasted(t *testing.T) {
	var short error
	wasted := 0
	e := newEdge(func(c *edge.Config) {
		c.Short, c.Wasted = func() error { return short }, func(*http.Request) { wasted++ }
	})
	for path, err := range map[string]*call.Error{"/away": call.Errorf(call.VaultUnavailable, "x"), "/limited": call.Errorf(call.RateLimited, "x")} {
		e.Handle("GET", path, func(w http.ResponseWriter, _ *http.Request, _ *call.Caller) { edge.WriteError(w, err, "") })
	}
	e.Handle("GET", "/events", func(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
	})
	for name, tc := range map[string]struct {
		path, key string
		short     error
		gone      bool
		want      int
	}{
		"served":          {path: "/secrets/a", key: "good"},
		"not known":       {path: "/secrets/a", key: "bad"},
		"Vault is away":   {path: "/away", key: "good"},
		"a stream's end":  {path: "/events", key: "good", gone: true},
		"limited":         {path: "/limited", key: "good", want: 1},
		"no room":         {path: "/secrets/a", key: "good", short: call.Errorf(call.Overloaded, "x"), want: 1},
		"no room, nobody": {path: "/secrets/a", key: "bad", short: call.Errorf(call.Overloaded, "x"), want: 1},
		"given up":        {path: "/secrets/a", key: "good", gone: true, want: 1},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if tc.gone {
			cancel()
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, tc.path, nil)
		r.Host, short, wasted = "127.0.0.1", tc.short, 0
		r.Header.Set("X-API-Key", tc.key)
		e.ServeHTTP(httptest.NewRecorder(), r)
		cancel()
		if wasted != tc.want {
			t.Errorf("%s: wasted %d times, want %d", name, wasted, tc.want)
		}
	}
}
