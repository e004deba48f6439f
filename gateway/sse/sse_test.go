package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/sse"
)

// world is the event routes on a socket. A caller is who X-Subject says.
type world struct {
	*httptest.Server
	log *events.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{log: events.New(events.Config{
		Allow: func(_ context.Context, c *call.Caller, e events.Event) bool { return e.Path.Within(c.Prefix) },
	})}
	s := sse.New(sse.Config{
		Log: w.log, KVMount: "secret", KeepAlive: 50 * time.Millisecond,
		Error: func(w http.ResponseWriter, e *call.Error) { http.Error(w, string(e.Code), http.StatusBadRequest) },
	})
	authenticate := s.Authenticate(func(r *http.Request) (*call.Caller, error) {
		if sub := r.Header.Get("X-Subject"); sub != "" {
			return &call.Caller{Subject: sub, Prefix: path("mcp/" + sub)}, nil
		}
		return nil, call.Errorf(call.Unauthenticated, "who are you")
	})
	routes := map[string]func(http.ResponseWriter, *http.Request, *call.Caller){
		"GET /events": s.Events, "POST /events/ticket": s.Ticket, "GET /mcp/sse": s.OldStream, "GET /mcp/events": s.OldEvents,
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := authenticate(r)
		if err != nil {
			http.Error(rw, string(call.AsError(err).Code), http.StatusUnauthorized)
			return
		}
		routes[r.Method+" "+r.URL.Path](rw, r, c)
	}))
	t.Cleanup(func() { w.log.Close(); w.Close() })
	return w
}

func path(s string) call.Path {
	p, err := call.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func (w *world) get(t *testing.T, method, url string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func (w *world) change(p string) {
	w.log.Publish(events.Event{
		Kind: events.ResourceChanged, Op: "kv.write", Mount: "secret", Path: path(p), Version: 2, Subject: "agent",
		Source: events.FromGateway, Time: time.Unix(1, 0),
	})
}

// line returns the next line of a stream that holds one of the texts.
func line(t *testing.T, b *bufio.Reader, want string) string {
	t.Helper()
	for {
		s, err := b.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before %s: %v", want, err)
		}
		if alive := `"type":"keepalive"`; strings.Contains(s, want) && (want == alive || !strings.Contains(s, alive)) {
			return strings.TrimSpace(s)
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	b := bufio.NewReader(w.get(t, "GET", "/events", "X-Subject", "agent").Body)
	line(t, b, "retry: 3000")
	first := strings.TrimPrefix(line(t, b, "id: "), "id: ")
	w.change("mcp/other/app")
	w.change("mcp/agent/a b")
	line(t, b, "event: resource.changed")
	want := `data: {"type":"resource.changed","uri":"kv://secret/mcp/agent/a%20b","path":"mcp/agent/a b","op":"kv.write","version":2,"subject":"agent","source":"gateway","time":"1970-01-01T00:00:01Z"}`
	if got := line(t, b, "data: "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	line(t, b, ": keep-alive")

	again := bufio.NewReader(w.get(t, "GET", "/events", "X-Subject", "agent", "Last-Event-ID", first).Body)
	line(t, again, "mcp/agent/a b")
	stolen := bufio.NewReader(w.get(t, "GET", "/events", "X-Subject", "other", "Last-Event-ID", first).Body)
	line(t, stolen, "event: reset")
}

func TestFilter(t *testing.T) {
	w := newWorld(t)
	b := bufio.NewReader(w.get(t, "GET", "/events?path=mcp/agent/one&path=mcp/agent/team/", "X-Subject", "agent").Body)
	line(t, b, "id: ")
	for _, p := range []string{"mcp/agent/two", "mcp/agent/one/below", "mcp/agent/one"} {
		w.change(p)
	}
	if got := line(t, b, "data: "); !strings.Contains(got, `"path":"mcp/agent/one"`) {
		t.Errorf("got %s", got)
	}
	w.change("mcp/agent/team/x/y")
	line(t, b, "mcp/agent/team/x/y")
	for _, q := range []string{"type=nope", "path=../x", "path=a//b"} {
		if resp := w.get(t, "GET", "/events?"+q, "X-Subject", "agent"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s got %d", q, resp.StatusCode)
		}
	}
}

// TestATicketIsNoBetterThanItsCredential: who opens a stream with a ticket is looked at
// like anybody who comes with a credential of before.
func TestATicketIsNoBetterThanItsCredential(t *testing.T) {
	var ended atomic.Bool
	from := netip.MustParseAddr("192.0.2.7")
	s := sse.New(sse.Config{
		Log: events.New(events.Config{}), KVMount: "secret", Error: func(w http.ResponseWriter, e *call.Error) { http.Error(w, e.Msg, http.StatusBadRequest) },
		Resume: func(_ *http.Request, c *call.Caller) (*call.Caller, error) {
			if ended.Load() {
				return nil, call.Errorf(call.Unauthenticated, "the credential has ended")
			}
			own := *c
			own.SourceIP = from
			return &own, nil
		},
	})
	redeem := func() (*call.Caller, error) {
		w := httptest.NewRecorder()
		s.Ticket(w, httptest.NewRequest(http.MethodPost, "/events/ticket", nil), &call.Caller{Subject: "agent", Prefix: path("mcp/agent"), SourceIP: netip.MustParseAddr("198.51.100.1")})
		var reply struct{ Ticket string }
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
			t.Fatal(err)
		}
		return s.Authenticate(nil)(httptest.NewRequest(http.MethodGet, "/events?ticket="+reply.Ticket, nil))
	}
	if c, err := redeem(); err != nil || c.Subject != "agent" || c.SourceIP != from {
		t.Errorf("got %+v, %v, want the caller at the address of now", c, err)
	}
	ended.Store(true)
	if _, err := redeem(); !call.Is(err, call.Unauthenticated) {
		t.Errorf("with a credential that has ended: got %v", err)
	}
}

func TestTickets(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "POST", "/events/ticket?path=mcp/agent/one", "X-Subject", "agent")
	var reply struct {
		Ticket string `json:"ticket"`
		Life   int    `json:"expires_in_s"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil || resp.StatusCode != http.StatusCreated || reply.Life != 60 {
		t.Fatalf("got %d %+v %v", resp.StatusCode, reply, err)
	}
	if resp := w.get(t, "GET", "/events?ticket="+reply.Ticket, "X-Api-Key", "k"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("beside a credential got %d", resp.StatusCode)
	}
	// The stream has the filter of the ticket, whatever its URL asks for.
	b := bufio.NewReader(w.get(t, "GET", "/events?path=mcp/agent/&ticket="+reply.Ticket).Body)
	line(t, b, "id: ")
	w.change("mcp/agent/two")
	w.change("mcp/agent/one")
	if got := line(t, b, "data: "); !strings.Contains(got, "mcp/agent/one") {
		t.Errorf("got %s", got)
	}
	for name, id := range map[string]string{"used": reply.Ticket, "unknown": "nope", "empty": ""} {
		if resp := w.get(t, "GET", "/events?ticket="+id); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a ticket that is %s got %d", name, resp.StatusCode)
		}
	}
	for range 100 {
		w.get(t, "POST", "/events/ticket", "X-Subject", "agent")
	}
	if resp := w.get(t, "POST", "/events/ticket", "X-Subject", "agent"); resp.StatusCode == http.StatusCreated {
		t.Error("a caller can have any number of tickets")
	}
}

func TestOldShapes(t *testing.T) {
	w := newWorld(t)
	b := bufio.NewReader(w.get(t, "GET", "/mcp/sse", "X-Subject", "agent").Body)
	if got := line(t, b, "data: "); !strings.HasPrefix(got, `data: {"type":"hello","ts":`) {
		t.Errorf("got %s", got)
	}
	w.change("mcp/agent/app")
	w.log.Publish(events.Event{Kind: events.ToolCompleted, Op: "kv.read", Subject: "agent", Owner: "/agent", Time: time.Unix(2, 0)})
	w.log.Publish(events.Event{Kind: events.ToolCompleted, Op: "kv.read", Subject: "other", Owner: "/other"})
	changed := `{"type":"resource.changed","uri":"kv://agent/app","subject":"agent","ts":1.000}`
	completed := `{"type":"tool.completed","tool":"kv.read","subject":"agent","ts":2.000}`
	for _, want := range []string{changed, completed} {
		if got := line(t, b, "data: "); got != "data: "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := line(t, b, `"type":"keepalive"`); !strings.HasPrefix(got, `data: {"type":"keepalive","ts":`) {
		t.Errorf("got %s", got)
	}
	for query, want := range map[string]string{
		"":                     `{"events":[` + changed + `,` + completed + `]}`,
		"?type=tool.completed": `{"events":[` + completed + `]}`,
		"?type=nope":           `{"events":[]}`,
	} {
		resp := w.get(t, "GET", "/mcp/events"+query, "X-Subject", "agent")
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
			t.Errorf("%s: got %s %v, want %s", query, got, err, want)
		}
	}
}

// TestNothingLeaks holds that streams leave nothing behind when their clients go.
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	for range 200 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Subject", "agent")
		resp, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
	}
	leave()
	deadline := time.After(30 * time.Second)
	for runtime.NumGoroutine() > before+20 {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestARelativePathIsHeard: a path means the same as in every other route, and its full
// spelling goes on working.
func TestARelativePathIsHeard(t *testing.T) {
	w := newWorld(t)
	for _, q := range []string{"path=one", "path=mcp/agent/one", "path=team/&path=one"} {
		b := bufio.NewReader(w.get(t, "GET", "/events?"+q, "X-Subject", "agent").Body)
		line(t, b, "id: ")
		w.change("mcp/agent/two")
		w.change("mcp/agent/one")
		if got := line(t, b, "data: "); !strings.Contains(got, `"path":"mcp/agent/one"`) {
			t.Errorf("%s: got %s", q, got)
		}
	}
}

// TestAPathThatMayNotBeHeardIsRefused before anything is subscribed to, as a stream
// and as a ticket, with what to write instead.
func TestAPathThatMayNotBeHeardIsRefused(t *testing.T) {
	asked := 0
	l := events.New(events.Config{
		Allow: func(_ context.Context, c *call.Caller, e events.Event) bool {
			return e.Op == "kv.read" && e.Path.String() == "shared/app"
		},
		Hold: func(*call.Caller) (func(), error) { asked++; return func() {}, nil },
	})
	s := sse.New(sse.Config{Log: l, KVMount: "secret", Error: func(w http.ResponseWriter, e *call.Error) { http.Error(w, e.Msg, http.StatusForbidden) }})
	c := &call.Caller{Subject: "agent", Prefix: path("mcp/agent")}
	for _, q := range []string{"path=mcp/other/app", "path=app", "path=shared/app/", "path=shared/app&path=mcp/other/"} {
		w := httptest.NewRecorder()
		s.Events(w, httptest.NewRequest("GET", "/events?"+q, nil), c)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "mcp/agent/app") {
			t.Errorf("%s: got %d %s, want a refusal that says what to write", q, w.Code, w.Body)
		}
		w = httptest.NewRecorder()
		if s.Ticket(w, httptest.NewRequest("POST", "/events/ticket?"+q, nil), c); w.Code != http.StatusForbidden {
			t.Errorf("ticket of %s: got %d, want a refusal", q, w.Code)
		}
	}
	if asked != 0 {
		t.Errorf("%d streams were begun", asked)
	}
}
