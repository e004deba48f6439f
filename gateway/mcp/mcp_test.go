package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// world is a server whose pipeline is a function: it binds for real and answers
// from a table.
type world struct {
	mcp.Config
	answers map[string]func(*op.Request) (string, error) // by operation
	hidden  map[string]bool

	started, cancelled chan struct{} // of a blocking call

	mu    sync.Mutex // guards calls
	calls []op.Request
}

// operations is the real catalogue, made once: it is immutable.
var operations = sync.OnceValues(func() (*op.Catalogue, error) {
	return ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
})

func newWorld(t testing.TB) *world {
	t.Helper()
	cat, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{hidden: map[string]bool{}, answers: map[string]func(*op.Request) (string, error){
		"kv.read": func(*op.Request) (string, error) {
			return `{"data":{"k":"v"},"version":3,"created_time":"2026-01-01T00:00:00Z"}`, nil
		},
		"kv.list": func(*op.Request) (string, error) { return `{"keys":["app","team/"]}`, nil },
	}}
	w.Config = mcp.Config{
		Catalogue: cat, KVMount: "secret", Version: "test", Do: w.do,
		Callable: func(_ context.Context, _ *call.Caller, o *op.Op) bool { return !w.hidden[o.Name] },
	}
	return w
}

func (w *world) do(_ context.Context, r *op.Request) (*op.Result, error) {
	w.mu.Lock()
	w.calls = append(w.calls, *r)
	w.mu.Unlock()
	res := &op.Result{RequestID: r.ID, DecisionID: "d1"}
	if _, err := w.Catalogue.Bind(r); err != nil {
		return res, err
	}
	answer := w.answers[r.Op]
	if answer == nil {
		return res, call.Errorf(call.Forbidden, "denied by policy")
	}
	body, err := answer(r)
	res.Body = []byte(body)
	return res, err
}

func agent(t testing.TB) *call.Caller {
	t.Helper()
	p, err := call.ParsePath("mcp/agent")
	if err != nil {
		t.Fatal(err)
	}
	return &call.Caller{Subject: "agent", Kind: "agent", Prefix: p, Method: call.APIKey, Scopes: []string{"read"}}
}

// post sends a body to one of the two endpoints and returns the answer.
func post(t testing.TB, h func(http.ResponseWriter, *http.Request, *call.Caller), c *call.Caller, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("X-Request-Id", "r1")
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	w := httptest.NewRecorder()
	h(w, r, c)
	return w
}

// compact is JSON without insignificant spaces.
func compact(t testing.TB, s []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, s); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return b.String()
}

// toolNames are the tools of the whole catalogue, as a list of them reads.
func toolNames(t testing.TB) string {
	t.Helper()
	var names []string
	for _, o := range newWorld(t).Catalogue.All() {
		if !o.VaultAPI {
			names = append(names, strings.ReplaceAll(o.Name, ".", "_"))
		}
	}
	return strings.Join(names, ", ")
}

func TestPlainJSONRPC(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{
			"a tool call", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`,
			`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"data\":{\"k\":\"v\"},\"version\":3,\"created_time\":\"2026-01-01T00:00:00Z\"}"}],` +
				`"structuredContent":{"data":{"k":"v"},"version":3,"created_time":"2026-01-01T00:00:00Z"}}}`,
		},
		{
			"underscored name", `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"kv_list"}}`,
			`{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"{\"keys\":[\"app\",\"team/\"]}"}],"structuredContent":{"keys":["app","team/"]}}}`,
		},
		{"a big id", `{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, `{"jsonrpc":"2.0","id":9007199254740993,"result":{}}`},
		{
			"unknown tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.nope"}}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown tool. Your tools are ` + toolNames(t) + `"}}`,
		},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"nope"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"unknown method"}}`},
		{
			"bad arguments", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"../x"}}}`,
			`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"invalid_request: argument path: the path has an empty, '.' or '..' segment` +
				`\nnext: kv_read takes path (string, required), version (integer). A path is below your own prefix, mcp/agent, which is not part of it, and neither is the mount or data/; ` +
				`its segments have single slashes between them and none at either end. A resource kv://secret/FULL/PATH is elsewhere\ndecision_id: d1\nrequest_id: r1"}],` +
				`"structuredContent":{"error":{"code":"invalid_request","message":"argument path: the path has an empty, '.' or '..' segment","decision_id":"d1","request_id":"r1"}},"isError":true}}`,
		},
		{
			"a resource", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"kv://secret/mcp/agent/app?version=2"}}`,
			`{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"kv://secret/mcp/agent/app?version=2","mimeType":"application/json",` +
				`"text":"{\"data\":{\"k\":\"v\"},\"version\":3,\"created_time\":\"2026-01-01T00:00:00Z\"}"}]}}`,
		},
		{
			"no resource", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"kv://other/x"}}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"resource not found","data":{"uri":"kv://other/x"}}}`,
		},
		{
			"resources", `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`,
			`{"jsonrpc":"2.0","id":1,"result":{"resources":[` +
				`{"uri":"kv://secret/mcp/agent/","name":"your secrets","description":"What lies below your own prefix.","mimeType":"application/json"},` +
				`{"uri":"kv://secret/mcp/agent/app","name":"app","mimeType":"application/json"},` +
				`{"uri":"kv://secret/mcp/agent/team/","name":"team/","mimeType":"application/json"}]}}`,
		},
		{
			"completion", `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"rotate_secret"},"argument":{"name":"path","value":"te"}}}`,
			`{"jsonrpc":"2.0","id":1,"result":{"completion":{"values":["team/"],"total":1,"hasMore":false}}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := mcp.New(newWorld(t).Config)
			w := post(t, s.ServeRPC, agent(t), tc.body)
			if w.Code != http.StatusOK {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if got := compact(t, w.Body.Bytes()); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// TestFrame holds the strictness of the frame: what is refused, with which code,
// and that the server answers the next message.
func TestFrame(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
	for _, tc := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"not JSON", `{"jsonrpc"`, 400, "-32700"},
		{"empty", ``, 400, "-32700"},
		{"NaN", `{"jsonrpc":"2.0","id":NaN,"method":"ping"}`, 400, "-32700"},
		{"a byte order mark", "\xef\xbb\xbf" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 400, "-32700"},
		{"a NUL", "{\"jsonrpc\":\"2.0\",\"id\":1,\x00\"method\":\"ping\"}", 400, "-32700"},
		{"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", 400, "-32700"},
		{"trailing data", `{"jsonrpc":"2.0","id":1,"method":"ping"} {}`, 400, "-32700"},
		{"duplicate keys", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, 400, "-32700"},
		{"nested duplicate keys", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"a","path":"b"}}}`, 400, "-32700"},
		{"too deep", `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + deep + `}`, 400, "-32700"},
		{"a case variant key", `{"jsonrpc":"2.0","id":1,"Method":"ping"}`, 400, "-32600"},
		{"an unknown member, which keeps its id", `{"jsonrpc":"2.0","x":1,"id":7,"method":"ping"}`, 400, `-32600,"message":"unknown or misspelt member"}}`},
		{"a case variant id", `{"jsonrpc":"2.0","ID":7,"method":"ping"}`, 400, "-32600"},
		{"a case variant parameter", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","Name":"kv.list"}}`, 200, "-32602"},
		{"a batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, 400, "-32600"},
		{"an empty batch", `[]`, 400, "-32600"},
		{"no object", `"ping"`, 400, "-32600"},
		{"JSON-RPC 1.0", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, "-32600"},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, "-32600"},
		{"id bool", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, 400, "-32600"},
		{"id array", `{"jsonrpc":"2.0","id":[1],"method":"ping"}`, 400, "-32600"},
		{"id object", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, 400, "-32600"},
		{"id fraction", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, 400, "-32600"},
		{"id too long", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 100_000) + `","method":"ping"}`, 400, "-32600"},
		{"a call as a notification", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`, 400, "-32600"},
		{"a response", `{"jsonrpc":"2.0","id":1,"result":{}}`, 400, "-32600"},
		{"params an array", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}`, 400, "-32600"},
		{"arguments a string", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":"x"}}`, 200, "-32602"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			world := newWorld(t)
			s := mcp.New(world.Config)
			w := post(t, s.ServeRPC, agent(t), tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), `"code":`+tc.code) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, tc.status, tc.code)
			}
			if got := strings.Contains(w.Body.String(), `"id":7,`); got != strings.Contains(tc.body, `"id":7,`) {
				t.Errorf("the id is in the answer: %v\n%s", got, w.Body)
			}
			if len(world.calls) != 0 {
				t.Errorf("%d calls were made", len(world.calls))
			}
			if next := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":2,"method":"ping"}`); next.Code != http.StatusOK {
				t.Errorf("the next call got %d", next.Code)
			}
		})
	}
}

func TestHiddenToolLooksUnknown(t *testing.T) {
	w := newWorld(t)
	w.hidden["kv.write"] = true
	s := mcp.New(w.Config)
	call := func(name, args string) string {
		return post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":`+args+`}}`).Body.String()
	}
	few, err := op.NewCatalogue(slices.DeleteFunc(slices.Clone(w.Catalogue.All()), func(o *op.Op) bool { return o.Name == "kv.write" })...)
	if err != nil {
		t.Fatal(err)
	}
	without := newWorld(t)
	without.Catalogue = few
	unknown := post(t, mcp.New(without.Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.write"}}`).Body.String()
	if !strings.Contains(unknown, "unknown tool") {
		t.Errorf("got %s", unknown)
	}
	for _, args := range []string{`{"path":"app","data":{}}`, `{}`, `{"path":"../x"}`} {
		if got := call("kv.write", args); got != unknown {
			t.Errorf("with %s got %s, want %s", args, got, unknown)
		}
	}
	if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String(); strings.Contains(got, "kv_write") || !strings.Contains(got, "kv_read") {
		t.Errorf("the list is %s", got)
	}
}

func TestStepUp(t *testing.T) {
	w := newWorld(t)
	w.Challenge = func(_ *http.Request, e *call.Error) string {
		return `Bearer error="insufficient_scope", scope="` + e.Scopes[0] + `"`
	}
	w.answers["kv.read"] = func(*op.Request) (string, error) {
		return "", &call.Error{Code: call.InsufficientScope, Msg: "a scope is missing", Scopes: []string{"read"}}
	}
	s := mcp.New(w.Config)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`
	bearer := agent(t)
	bearer.Method = call.JWT
	got := post(t, s.ServeRPC, bearer, body)
	if got.Code != http.StatusForbidden || got.Header().Get("WWW-Authenticate") != `Bearer error="insufficient_scope", scope="read"` {
		t.Errorf("a bearer caller got %d %v", got.Code, got.Header())
	}
	if got := post(t, s.ServeRPC, agent(t), body); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"isError":true`) {
		t.Errorf("another caller got %d %s", got.Code, got.Body)
	}
}

func TestRateLimited(t *testing.T) {
	w := newWorld(t)
	w.answers["kv.read"] = func(*op.Request) (string, error) {
		return "", &call.Error{Code: call.RateLimited, Msg: "too many calls", RetryAfter: 1500e6}
	}
	got := post(t, mcp.New(w.Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`)
	want := `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"rate_limited: too many calls\nnext: try again in 2 s\ndecision_id: d1\nrequest_id: r1"}],` +
		`"structuredContent":{"error":{"code":"rate_limited","message":"too many calls","decision_id":"d1","request_id":"r1","retry_after_s":2}},"isError":true}}`
	if got.Code != http.StatusOK || got.Body.String() != want {
		t.Errorf("got %d %s\nwant %s", got.Code, got.Body, want)
	}
}
