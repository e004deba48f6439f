package mcp_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// Each known way of abusing an MCP server is a test here; what is abuse of the
// frame alone is in TestFrame and TestModernEra.

const readApp = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`

func TestAbuseBodyTooLarge(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, chunked := range []bool{false, true} {
		body := io.Reader(strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 4096) + `"}}`))
		if chunked {
			body = io.MultiReader(body) // a reader of unknown length
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mcp/rpc", body)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		r.Body = http.MaxBytesReader(w, r.Body, 1024)
		s.ServeRPC(w, r, agent(t))
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), `"code":-32600`) {
			t.Errorf("chunked %v: got %d %s", chunked, w.Code, w.Body)
		}
	}
}

func TestAbuseDepth(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, n := range []int{65, 500, 200_000} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.write","arguments":{"path":"a","data":` +
			strings.Repeat("[", n) + strings.Repeat("]", n) + `}}}`
		if w := post(t, s.ServeRPC, agent(t), body); w.Code != http.StatusBadRequest {
			t.Errorf("depth %d: got %d", n, w.Code)
		}
	}
}

func TestAbuseHeaders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"no Content-Type", []string{"Content-Type", ""}, 415},
		{"another Content-Type", []string{"Content-Type", "text/plain"}, 415},
		{"a form", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"a charset", []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		{"no Accept", []string{"Accept", ""}, 200},
		{"Accept that says nothing", []string{"Accept", " "}, 200},
		{"Accept of nothing that we have", []string{"Accept", "text/html"}, 406},
		{"Accept of everything", []string{"Accept", "*/*"}, 200},
		{"Accept of JSON alone", []string{"Accept", "application/json"}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if w := post(t, mcp.New(newWorld(t).Config).ServeRPC, agent(t), readApp, tc.headers...); w.Code != tc.status {
				t.Errorf("got %d, want %d", w.Code, tc.status)
			}
		})
	}
}

func TestAbuseGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w := post(t, mcp.New(newWorld(t).Config).ServeRPC, agent(t), bomb.String(), "Content-Encoding", "gzip")
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("got %d", w.Code)
	}
}

func TestAbuseHugeNumbers(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, n := range []string{"1e999", "99999999999999999999", "-1", "1.5", strings.Repeat("9", 10_000)} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app","version":` + n + `}}}`
		if w := post(t, s.ServeRPC, agent(t), body); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"isError":true`) {
			t.Errorf("%.30s: got %d %s", n, w.Code, w.Body)
		}
	}
}

// blocking makes kv.read wait until its call is cancelled.
func (w *world) blocking() {
	w.started, w.cancelled = make(chan struct{}), make(chan struct{})
	w.Do = func(ctx context.Context, _ *op.Request) (*op.Result, error) {
		close(w.started)
		<-ctx.Done()
		close(w.cancelled)
		return &op.Result{}, call.Wrap(call.Canceled, "gone", ctx.Err())
	}
}

func TestAbuseDuplicateIDInFlight(t *testing.T) {
	l := newLiveWith(t, (*world).blocking)
	id := l.open(t)
	go l.tell(t.Context(), l.URL, readApp, "Mcp-Session-Id", id)
	<-l.started
	if resp := l.send(t, http.MethodPost, readApp, "Mcp-Session-Id", id); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("the same id again got %d", resp.StatusCode)
	}
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	if resp := l.send(t, http.MethodPost, cancel, "Mcp-Session-Id", id); resp.StatusCode != http.StatusAccepted {
		t.Errorf("the cancellation got %d", resp.StatusCode)
	}
	<-l.cancelled
}

// tell posts a message and does not care for the answer.
func (l *live) tell(ctx context.Context, url, body string, headers ...string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if resp, err := l.Client().Do(r); err == nil {
		_ = resp.Body.Close()
	}
}

func TestAbuseDisconnectCancelsTheCall(t *testing.T) {
	l := newLiveWith(t, (*world).blocking)
	ctx, leave := context.WithCancel(t.Context())
	go l.tell(ctx, l.URL+"/rpc", readApp)
	<-l.started
	leave()
	<-l.cancelled
}

func TestAbuseClientInfoIsNotIdentity(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(readApp, `"arguments"`, `"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"root","version":"1"},"subject":"victim"},"arguments"`, 1)
	post(t, mcp.New(w.Config).ServeRPC, agent(t), body)
	if len(w.calls) != 1 || w.calls[0].Caller.Subject != "agent" {
		t.Errorf("got %+v", w.calls)
	}
}

func TestAbuseProgressToken(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	with := func(token string) *httptest.ResponseRecorder {
		return post(t, s.ServeRPC, agent(t), strings.Replace(readApp, `"arguments"`, `"_meta":{"progressToken":`+token+`},"arguments"`, 1))
	}
	for _, token := range []string{`[]`, `1.5`, `"` + strings.Repeat("x", 1000) + `"`} {
		if w := with(token); w.Code != http.StatusBadRequest {
			t.Errorf("%.20s: got %d", token, w.Code)
		}
	}
	if w := with(`null`); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "progress") {
		t.Errorf("null, which is no token: got %d %s", w.Code, w.Body)
	}
	if w := with(`"t"`); strings.Count(w.Body.String(), "notifications/progress") != 1 || !strings.Contains(w.Body.String(), `"progressToken":"t"`) {
		t.Errorf("got %s", w.Body)
	}
	if w := post(t, s.ServeRPC, agent(t), readApp); strings.Contains(w.Body.String(), "progress") {
		t.Errorf("progress that nobody asked for: %s", w.Body)
	}
}

func TestAbuseCursor(t *testing.T) {
	w := newWorld(t)
	w.Limits.PageSize = 5
	s := mcp.New(w.Config)
	list := func(method, cursor string) string {
		body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": map[string]string{"cursor": cursor}})
		if err != nil {
			t.Fatal(err)
		}
		return post(t, s.ServeRPC, agent(t), string(body)).Body.String()
	}
	first := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String()
	var reply struct{ Result struct{ NextCursor string } }
	if err := json.Unmarshal([]byte(first), &reply); err != nil || reply.Result.NextCursor == "" {
		t.Fatalf("got %s %v", first, err)
	}
	if got := list("tools/list", reply.Result.NextCursor); !strings.Contains(got, `"tools":[{`) {
		t.Errorf("the next page is %s", got)
	}
	for _, bad := range []string{"", "x", reply.Result.NextCursor + "AA", "dG9vbHMgLTE", "dG9vbHMgOTk5OTk", "dG9vbHMgMWUx"} {
		if got := list("tools/list", bad); !strings.Contains(got, "-32602") {
			t.Errorf("%q: got %s", bad, got)
		}
	}
	if got := list("prompts/list", reply.Result.NextCursor); !strings.Contains(got, "-32602") {
		t.Errorf("the cursor of another list: got %s", got)
	}
}

// TestAbuseSchemas holds that no schema of ours makes a client fetch something, or
// repeat a secret in a header.
func TestAbuseSchemas(t *testing.T) {
	got := post(t, mcp.New(newWorld(t).Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String()
	for _, bad := range []string{"$ref", "x-mcp-header", "http:", "https:", "test_"} {
		if strings.Contains(got, bad) {
			t.Errorf("the tools hold %s", bad)
		}
	}
}

func TestAbusePanic(t *testing.T) {
	w := newWorld(t)
	var failed error
	w.Failed = func(err error) { failed = err }
	w.answers["kv.read"] = func(*op.Request) (string, error) { panic("secret data") }
	s := mcp.New(w.Config)
	got := post(t, s.ServeRPC, agent(t), readApp)
	if got.Code != http.StatusInternalServerError || !strings.Contains(got.Body.String(), `"code":-32603`) || strings.Contains(got.Body.String(), "secret") {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	if failed == nil || strings.Contains(failed.Error(), "secret") {
		t.Errorf("logged is %v", failed)
	}
	if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":2,"method":"ping"}`); got.Code != http.StatusOK {
		t.Errorf("the next call got %d", got.Code)
	}
}

func TestAbuseSessionFlood(t *testing.T) {
	l := newLiveWith(t, func(w *world) { w.Limits = mcp.Limits{SessionsPerCaller: 3, Sessions: 5} })
	ping := func(id string, headers ...string) int {
		return l.send(t, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, append(headers, "Mcp-Session-Id", id)...).StatusCode
	}
	first := l.open(t)
	seen := map[string]bool{first: true}
	for range 3 {
		id := l.open(t)
		if seen[id] || len(id) < 26 {
			t.Errorf("a session id that can be guessed: %s", id)
		}
		seen[id] = true
	}
	if got := ping(first); got != http.StatusNotFound {
		t.Errorf("the oldest session got %d", got)
	}
	other := l.open(t, "X-Subject", "other")
	l.open(t, "X-Subject", "other")
	if resp := l.send(t, http.MethodPost, initialize, "X-Subject", "third"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a session too many got %d", resp.StatusCode)
	}
	if got := ping(other, "X-Subject", "other"); got != http.StatusOK {
		t.Errorf("somebody else's session got %d", got)
	}
}

func TestAbuseStreamFlood(t *testing.T) {
	l := newLive(t)
	budgets := budget.New(budget.Table{budget.Streams: {Caller: 10, All: 100}})
	l.log.Hold = func(c *call.Caller) (func(), error) { return budgets.Reserve(budget.Of(c), budget.Streams, 1) }
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`
	h := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}
	for range 10 {
		data(t, bufio.NewReader(l.send(t, http.MethodPost, listen, h...).Body))
	}
	if resp := l.send(t, http.MethodPost, listen, h...); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a stream too many got %d", resp.StatusCode)
	}
	if resp := l.send(t, http.MethodPost, listen, append(h, "X-Subject", "other")...); resp.StatusCode != http.StatusOK {
		t.Errorf("somebody else got %d", resp.StatusCode)
	}
}

func TestAbuseListenToManyURIs(t *testing.T) {
	l := newLive(t)
	uris := strings.Repeat(`"kv://secret/mcp/agent/app",`, 10_000)
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[` + uris[:len(uris)-1] + `]},` + modernMeta + `}}`
	resp := l.send(t, http.MethodPost, listen, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	if got, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(got), "-32602") {
		t.Errorf("got %s %v", got, err)
	}
}

func TestAbuseSubscriptionFlood(t *testing.T) {
	l := newLive(t)
	id := l.open(t)
	var last string
	for i := range 300 {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/%d"}}`, i)
		b, err := io.ReadAll(l.send(t, http.MethodPost, body, "Mcp-Session-Id", id).Body)
		if err != nil {
			t.Fatal(err)
		}
		last = string(b)
	}
	if !strings.Contains(last, "too many subscriptions") {
		t.Errorf("got %s", last)
	}
}

// TestAbuseSubscribeTellsNothing holds that the answer does not say whether a
// resource exists: not of those that may be heard of, and not of those that may not.
func TestAbuseSubscribeTellsNothing(t *testing.T) {
	l := newLive(t)
	id := l.open(t)
	for _, group := range []struct {
		want string
		uris []string
	}{
		{`"result":{}`, []string{"kv://secret/mcp/agent/app", "kv://secret/mcp/agent/nothing", "kv://agent/team/"}},
		{"names nothing that you can subscribe to", []string{
			"kv://secret/mcp/other/app", "kv://elsewhere/x", "nonsense", "kv://secret/mcp/agent/app?version=2", "kv://secret/mcp/agent/" + strings.Repeat("x", 100_000),
		}},
	} {
		var first string
		for _, uri := range group.uris {
			resp := l.send(t, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"`+uri+`"}}`, "Mcp-Session-Id", id)
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(b)
			}
			if string(b) != first || !strings.Contains(first, group.want) {
				t.Errorf("%.40s: got %s, want %s", uri, b, group.want)
			}
		}
	}
}

// TestAbuseForbiddenLooksMissing holds the same for reading.
func TestAbuseForbiddenLooksMissing(t *testing.T) {
	w := newWorld(t)
	s := mcp.New(w.Config)
	read := func(code call.Code) string {
		w.answers["kv.read"] = func(*op.Request) (string, error) { return "", call.Errorf(code, "for the log") }
		return post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"kv://secret/a/b"}}`).Body.String()
	}
	if forbidden, missing := read(call.Forbidden), read(call.NotFound); forbidden != missing {
		t.Errorf("got %s and %s", forbidden, missing)
	}
}

func TestAbuseRequestState(t *testing.T) {
	w := newWorld(t)
	ask := func(_ context.Context, ex *mcp.Exchange, _ jsontext.Value) (jsontext.Value, error) {
		if string(ex.Input().State) == "asked" {
			return jsontext.Value(`{"content":[]}`), nil
		}
		return nil, &mcp.InputRequired{State: []byte("asked")}
	}
	offer := func(context.Context, *mcp.Exchange) jsontext.Value { return jsontext.Value(`{"name":"x"}`) }
	w.Providers = []mcp.Provider{{Tools: []mcp.Tool{{Name: "one", Offer: offer, Call: ask}, {Name: "two", Offer: offer, Call: ask}}}}
	s := mcp.New(w.Config)
	call := func(c *call.Caller, tool, state string) string {
		params := `{"name":"` + tool + `",` + modernMeta + state + `}`
		return post(t, s.ServeMCP, c, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool).Body.String()
	}
	var reply struct {
		Result struct{ ResultType, RequestState string }
	}
	if err := json.Unmarshal([]byte(call(agent(t), "one", "")), &reply); err != nil || reply.Result.ResultType != "input_required" {
		t.Fatalf("got %+v %v", reply, err)
	}
	state := `,"requestState":"` + reply.Result.RequestState + `"`
	other := agent(t)
	other.Subject = "other"
	for _, tc := range []struct{ name, got, want string }{
		{"as it was", call(agent(t), "one", state), `"resultType":"complete"`},
		{"another tool", call(agent(t), "two", state), "-32602"},
		{"another caller", call(other, "one", state), "-32602"},
		{"damaged", call(agent(t), "one", damaged(state)), "-32602"},
		{"cut", call(agent(t), "one", state[:len(state)-2]+`"`), "-32602"},
		{"a number", call(agent(t), "one", `,"requestState":1`), "-32602"},
		{"answers of a wrong type", call(agent(t), "one", `,"inputResponses":{"a":1}`), "-32602"},
	} {
		if !strings.Contains(tc.got, tc.want) {
			t.Errorf("%s: got %s, want %s", tc.name, tc.got, tc.want)
		}
	}
}

// damaged is the text with its fifth character from the end, one of base64url
// with six bits that count, replaced by another one.
func damaged(text string) string {
	b := []byte(text)
	other := byte('A')
	if b[len(b)-5] == other {
		other = 'B'
	}
	b[len(b)-5] = other
	return string(b)
}

// TestAbuseDeleteRace ends sessions while they are used in every way.
func TestAbuseDeleteRace(t *testing.T) {
	l := newLive(t)
	var wg sync.WaitGroup
	for range 20 {
		id := l.open(t)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPost, http.MethodDelete, http.MethodDelete} {
			wg.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), method, l.URL, strings.NewReader(readApp))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Mcp-Session-Id", id)
				resp, err := l.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = resp.Body.Close() }()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait() // streams end with their sessions, else this hangs
}

// TestAbusePromptArguments: finding one of a prompt's arguments looks at all of them, so
// very many are not looked at at all.
func TestAbusePromptArguments(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for n, want := range map[int]string{10: "Rotate the secret at a", 50_000: "more members than any prompt has arguments"} {
		var args strings.Builder
		args.WriteString(`"path":"a"`)
		for i := range n {
			fmt.Fprintf(&args, `,"k%d":"v"`, i)
		}
		w := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"rotate_secret","arguments":{`+args.String()+`}}}`)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("with %d more: got %.300s, want %s", n, w.Body, want)
		}
	}
}
