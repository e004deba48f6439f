package mcp_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
)

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func TestModernEra(t *testing.T) {
	const v = "MCP-Protocol-Version"
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`
	read := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"},` + modernMeta + `}}`
	for _, tc := range []struct {
		name, body string
		headers    []string
		status     int
		want       string
	}{
		{"a list", list, []string{v, "2026-07-28", "Mcp-Method", "tools/list"}, 200, `"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"portcullis"`},
		{"private", list, []string{v, "2026-07-28", "Mcp-Method", "tools/list"}, 200, `"ttlMs":0,"cacheScope":"private"`},
		{"a call", read, []string{v, "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "kv.read"}, 200, `"structuredContent":{"data":{"k":"v"}`},
		{"a padded header", read, []string{v, "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", " kv.read\t"}, 200, `"structuredContent"`},
		{"an encoded header", read, []string{v, "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?a3YucmVhZA==?="}, 200, `"structuredContent"`},
		{"another tool in the header", read, []string{v, "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "kv.list"}, 400, `"code":-32020`},
		{"another method in the header", list, []string{v, "2026-07-28", "Mcp-Method", "TOOLS/LIST"}, 400, `"code":-32020`},
		{"no method in the header", list, []string{v, "2026-07-28"}, 400, `"code":-32020`},
		{"no name in the header", read, []string{v, "2026-07-28", "Mcp-Method", "tools/call"}, 400, `"code":-32020`},
		{"no version in the header", list, []string{"Mcp-Method", "tools/list"}, 400, `"code":-32020`},
		{"two versions", list, []string{v, "2027-01-01", "Mcp-Method", "tools/list"}, 400, `"code":-32020`},
		{"no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, []string{v, "2026-07-28", "Mcp-Method", "tools/list"}, 400, `"code":-32602`},
		{"an unknown version", strings.ReplaceAll(list, "2026-07-28", "v999"), []string{v, "v999", "Mcp-Method", "tools/list"}, 400, `"code":-32022`},
		{"an unknown version in the header alone", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, []string{v, "2027-01-01", "Mcp-Method", "tools/list"}, 400, `"code":-32022,"message":"unsupported protocol version","data":{"requested":"2027-01-01"`},
		{"a removed method", strings.ReplaceAll(list, "tools/list", "ping"), []string{v, "2026-07-28", "Mcp-Method", "ping"}, 404, `"code":-32601`},
		{"an unknown method", strings.ReplaceAll(list, "tools/list", "nope"), []string{v, "2026-07-28", "Mcp-Method", "nope"}, 404, `"id":1,"error":{"code":-32601`},
		{"discover", strings.ReplaceAll(list, "tools/list", "server/discover"), []string{v, "2026-07-28", "Mcp-Method", "server/discover"}, 200, `"supportedVersions":["2026-07-28",`},
		{"a notification", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{` + modernMeta + `}}`, []string{v, "2026-07-28"}, 202, ``},
		{"a response", `{"jsonrpc":"2.0","id":1,"result":{}}`, []string{v, "2026-07-28"}, 400, `"code":-32600`},
		{"a session id is ignored", list, []string{v, "2026-07-28", "Mcp-Method", "tools/list", "Mcp-Session-Id", "nonsense"}, 200, `"tools"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := post(t, mcp.New(newWorld(t).Config).ServeMCP, agent(t), tc.body, tc.headers...)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, tc.status, tc.want)
			}
		})
	}
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

// live is a server on a socket, with an event log.
type live struct {
	*httptest.Server
	log       *events.Log
	world     *world
	started   chan struct{} // with blocking calls: one has begun
	cancelled chan struct{} // and has been cancelled

	hear, deafen func()        // of a replica: it receives what others tell it, or not
	asked        chan struct{} // it has tried to tell another something
}

func newLive(t *testing.T) *live { return newLiveWith(t, func(*world) {}) }

// newLiveWith changes the world before the server is made.
func newLiveWith(t *testing.T, change func(*world)) *live {
	t.Helper()
	l := &live{world: newWorld(t)}
	change(l.world)
	l.started, l.cancelled = l.world.started, l.world.cancelled
	l.log = events.New(events.Config{Allow: func(_ context.Context, c *call.Caller, e events.Event) bool { return e.Path.Within(c.Prefix) }})
	l.world.Events = l.log
	s := mcp.New(l.world.Config)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := agent(t)
		if sub := r.Header.Get("X-Subject"); sub != "" {
			c.Subject = sub
			c.Prefix, _ = call.ParsePath("mcp/" + sub)
		}
		if strings.HasSuffix(r.URL.Path, "/rpc") {
			s.ServeRPC(w, r, c)
			return
		}
		s.ServeMCP(w, r, c)
	}))
	t.Cleanup(func() { l.log.Close(); l.Close() })
	return l
}

// send makes a request. The caller closes the body.
func (l *live) send(t *testing.T, method, body string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, l.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := l.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// open begins a session and returns its id.
func (l *live) open(t *testing.T, headers ...string) string {
	t.Helper()
	resp := l.send(t, http.MethodPost, initialize, headers...)
	id := resp.Header.Get("Mcp-Session-Id")
	if resp.StatusCode != http.StatusOK || id == "" {
		t.Fatalf("initialize got %d, session %q", resp.StatusCode, id)
	}
	return id
}

// data returns the next data line of a stream that is not empty.
func data(t *testing.T, b *bufio.Reader) string {
	t.Helper()
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		if s, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && s != "" {
			return s
		}
	}
}

func (l *live) change(t *testing.T, path string) {
	t.Helper()
	p, err := call.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	l.log.Publish(events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: p, Source: events.FromGateway})
}

func TestSessions(t *testing.T) {
	l := newLive(t)
	id := l.open(t)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, tc := range []struct {
		name, method, body string
		headers            []string
		status             int
	}{
		{"in the session", "POST", ping, []string{"Mcp-Session-Id", id}, 200},
		{"with its version", "POST", ping, []string{"Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-11-25"}, 200},
		{"with another version", "POST", ping, []string{"Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18"}, 400},
		{"without the session", "POST", ping, nil, 400},
		{"in an unknown session", "POST", ping, []string{"Mcp-Session-Id", "nope"}, 404},
		{"somebody else", "POST", ping, []string{"Mcp-Session-Id", id, "X-Subject", "other"}, 404},
		{"somebody else's stream", "GET", "", []string{"Mcp-Session-Id", id, "X-Subject", "other"}, 404},
		{"somebody else's end", "DELETE", "", []string{"Mcp-Session-Id", id, "X-Subject", "other"}, 404},
		{"initialize inside", "POST", initialize, []string{"Mcp-Session-Id", id}, 200},
		{"initialize with a session that is gone", "POST", initialize, []string{"Mcp-Session-Id", "GONE"}, 200},
		{"the end", "DELETE", "", []string{"Mcp-Session-Id", id}, 204},
		{"after the end", "POST", ping, []string{"Mcp-Session-Id", id}, 404},
		{"a modern GET", "GET", "", []string{"MCP-Protocol-Version", "2026-07-28"}, 405},
		{"a modern DELETE", "DELETE", "", []string{"MCP-Protocol-Version", "2026-07-28"}, 405},
		{"PUT", "PUT", ping, nil, 405},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if resp := l.send(t, tc.method, tc.body, tc.headers...); resp.StatusCode != tc.status {
				t.Errorf("got %d, want %d", resp.StatusCode, tc.status)
			}
		})
	}
}

func TestLegacyStream(t *testing.T) {
	l := newLive(t)
	id := l.open(t)
	in := []string{"Mcp-Session-Id", id}
	for _, uri := range []string{"kv://secret/mcp/agent/app", "kv://agent/team/"} {
		body := `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"` + uri + `"}}`
		if resp := l.send(t, http.MethodPost, body, in...); resp.StatusCode != http.StatusOK {
			t.Fatalf("subscribe got %d", resp.StatusCode)
		}
	}
	l.change(t, "mcp/agent/app") // before the stream is open
	resp := l.send(t, http.MethodGet, "", in...)
	b := bufio.NewReader(resp.Body)
	if got := data(t, b); !strings.Contains(got, `"uri":"kv://secret/mcp/agent/app"`) || !strings.Contains(got, `"portcullis/source":"gateway"`) {
		t.Errorf("got %s", got)
	}
	second := l.send(t, http.MethodGet, "", in...)
	if second.StatusCode != http.StatusOK {
		t.Errorf("a second stream got %d", second.StatusCode)
	}
	if left, err := b.ReadString(0); err == nil || strings.Contains(left, `"method"`) {
		t.Errorf("the first stream goes on beside its successor: %s", left)
	}
	b = bufio.NewReader(second.Body)
	l.change(t, "mcp/other/app")
	l.change(t, "mcp/agent/team/a b")
	if got := data(t, b); !strings.Contains(got, `"uri":"kv://agent/team/a%20b"`) {
		t.Errorf("got %s", got)
	}
	if resp := l.send(t, http.MethodDelete, "", in...); resp.StatusCode != http.StatusNoContent {
		t.Errorf("the end got %d", resp.StatusCode)
	}
	if _, err := b.ReadString(0); err == nil {
		t.Error("the stream outlived its session")
	}
}

// TestReplayIsBound holds that an event id is of use to its own session alone.
func TestReplayIsBound(t *testing.T) {
	l := newLive(t)
	id, other := l.open(t), l.open(t)
	sub := `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/app"}}`
	l.send(t, http.MethodPost, sub, "Mcp-Session-Id", id)
	resp := l.send(t, http.MethodGet, "", "Mcp-Session-Id", id)
	b := bufio.NewReader(resp.Body)
	var last string
	for last == "" {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		last, _ = strings.CutPrefix(strings.TrimSpace(line), "id: ")
		if !strings.HasPrefix(line, "id: ") {
			last = ""
		}
	}
	l.change(t, "mcp/agent/app")
	stolen := l.send(t, http.MethodGet, "", "Mcp-Session-Id", other, "Last-Event-Id", last)
	sb := bufio.NewReader(stolen.Body)
	l.send(t, http.MethodPost, strings.ReplaceAll(sub, "/app", "/mark"), "Mcp-Session-Id", other)
	l.change(t, "mcp/agent/mark")
	if got := data(t, sb); !strings.Contains(got, "/mark") {
		t.Errorf("another session got %s", got)
	}
}

func TestListen(t *testing.T) {
	l := newLive(t)
	body := `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,` +
		`"resourceSubscriptions":["kv://secret/mcp/agent/","kv://secret/mcp/other/x","nonsense"]},` + modernMeta + `}}`
	resp := l.send(t, http.MethodPost, body, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	b := bufio.NewReader(resp.Body)
	want := `"notifications":{"resourceSubscriptions":["kv://secret/mcp/agent/"],"toolsListChanged":true}`
	if got := data(t, b); !strings.Contains(got, "subscriptions/acknowledged") || !strings.Contains(got, want) || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":"sub"`) {
		t.Fatalf("got %s, want it to acknowledge %s", got, want)
	}
	l.change(t, "mcp/agent/app")
	if got := data(t, b); !strings.Contains(got, `"uri":"kv://secret/mcp/agent/app"`) || !strings.Contains(got, `subscriptionId":"sub"`) {
		t.Errorf("got %s", got)
	}
	l.log.Publish(events.Event{Kind: events.PromptsChanged})
	l.log.Publish(events.Event{Kind: events.ToolsChanged})
	if got := data(t, b); !strings.Contains(got, "notifications/tools/list_changed") {
		t.Errorf("got %s", got)
	}
	l.log.Close()
	if got := data(t, b); !strings.Contains(got, `"id":"sub","result":{"resultType":"complete"`) {
		t.Errorf("the end is %s", got)
	}
}
