package e2e_test

import (
	"bufio"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// ear is an open stream, and what has been heard on it.
type ear struct {
	name string
	told chan bool // closed when the last change has been told of
	done chan bool // closed when the stream has ended
	text strings.Builder
}

// lastChange is the path of the change that ends the canary's calls.
const lastChange = "the-last-change"

// openEars opens every kind of stream that the gateway has.
func openEars(t *testing.T, g *stack.Gateway) []*ear {
	t.Helper()
	post := func(body string, headers ...string) *http.Response {
		return open(t, "POST", g.URL+"/mcp", body, append(headers, "Accept: application/json, text/event-stream")...)
	}
	hello := post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	session := "Mcp-Session-Id: " + hello.Header.Get("Mcp-Session-Id")
	post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, session)
	for _, path := range []string{"c", lastChange} {
		post(`{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent_api/`+path+`"}}`, session)
	}
	listen := `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true,` +
		`"resourceSubscriptions":["kv://secret/mcp/agent_api/c","kv://secret/mcp/agent_api/` + lastChange + `"]},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	return []*ear{
		hearVault(t, g),
		hear("GET /events", open(t, "GET", g.URL+"/events?type=resource.changed&type=tool.completed&type=tools.changed&type=prompts.changed", "")),
		hear("GET /mcp/sse", open(t, "GET", g.URL+"/mcp/sse", "")),
		hear("GET /mcp", open(t, "GET", g.URL+"/mcp", "", session, "Accept: text/event-stream")),
		hear("subscriptions/listen", post(listen, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: subscriptions/listen")),
	}
}

// open sends a request and returns the answer with its body open.
func open(t *testing.T, method, url, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", e2e.Key)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode >= 300 {
		raw, _ := io.ReadAll(resp.Body) // what there is of it
		t.Fatalf("%s %s: %d %s", method, url, resp.StatusCode, raw)
	}
	return resp
}

func hear(name string, resp *http.Response) *ear {
	s := bufio.NewScanner(resp.Body)
	return listen(name, func() (string, bool) {
		more := s.Scan()
		return s.Text(), more
	})
}

// hearVault opens the stream of events that Vault's API has.
func hearVault(t *testing.T, g *stack.Gateway) *ear {
	t.Helper()
	const path = "/v1/sys/events/subscribe/kv*?json=true"
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(g.URL, "http", "ws", 1)+path, &websocket.DialOptions{HTTPHeader: http.Header{"X-Vault-Token": {e2e.Key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return listen("GET "+path, func() (string, bool) {
		_, raw, err := conn.Read(t.Context())
		return string(raw), err == nil
	})
}

// listen keeps what next returns until it has no more.
func listen(name string, next func() (string, bool)) *ear {
	e := &ear{name: name, told: make(chan bool), done: make(chan bool)}
	told := sync.OnceFunc(func() { close(e.told) })
	go func() {
		defer close(e.done)
		defer told()
		for text, more := next(); more; text, more = next() {
			e.text.WriteString(text + "\n")
			if strings.Contains(text, lastChange) {
				told()
			}
		}
	}()
	return e
}

// lookIntoStreams waits for the streams, which have ended with the gateway.
func lookIntoStreams(t *testing.T, ears []*ear) {
	t.Helper()
	for _, e := range ears {
		<-e.done
		text := e.text.String()
		if holdsCanary(text) || !strings.Contains(text, lastChange) {
			t.Errorf("%s told of the canary, or not of the last change:\n%s", e.name, text)
		}
	}
}

func holdsCanary(text string) bool {
	for _, secret := range canaryForms() {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}

// speakOnStdio sends the canary through portcullis stdio, to the gateway and in the
// process, in everything but a read. Neither its answers nor its stderr may hold it.
func speakOnStdio(t *testing.T, g *stack.Gateway, v *stack.Vault) {
	t.Helper()
	lines := []string{canary, `{"jsonrpc":"2.0","id":"x","` + canary + `":1}`}
	for _, args := range []string{
		`"kv.write","arguments":{"path":"c","data":{"password":"` + canary + `"}}`, `"kv.write","arguments":{"path":"c","data":"` + canary + `"}`,
		`"kv.write","arguments":{"path":"c","data":{"a":"` + canary + `"},"cas":99}`, `"` + canary + `","arguments":{}`,
		`"transit.encrypt","arguments":{"key":"mcp","plaintext":"` + canaryBase64 + `"}`, `"transit.decrypt","arguments":{"key":"mcp","ciphertext":"` + canary + `"}`,
	} {
		lines = append(lines, `{"jsonrpc":"2.0","id":1`+strings.Repeat("0", len(lines))+`,"method":"tools/call","params":{"name":`+args+`}}`)
	}
	dir := t.TempDir()
	here := append(stack.DevEnv(e2e.Root(t), v), "LOG_LEVEL=debug", "LOG_DIR="+filepath.Join(dir, "logs"), "DECISION_LOG="+filepath.Join(dir, "logs", "decisions.jsonl"))
	here = slices.Clip(here) // two cases append to it
	for name, tc := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"remote":             {[]string{"PORTCULLIS_API_KEY=" + e2e.Key}, []string{"--url", g.URL}, `"isError":true`},
		"in process":         {append(here, "PORTCULLIS_API_KEY="+e2e.Key), nil, `"isError":true`},
		"remote, bad key":    {[]string{"PORTCULLIS_API_KEY=" + canaryKey}, []string{"--url", g.URL}, "unauthenticated"},
		"in process, bad":    {append(here, "PORTCULLIS_API_KEY="+canaryKey), nil, "unauthenticated"},
		"remote, of nothing": {[]string{"PORTCULLIS_API_KEY=" + canaryKey}, []string{"--url", "http://127.0.0.1:1"}, "gateway_unreachable"},
	} {
		out, errs, _ := stdio(t, tc.env, strings.Join(lines, "\n"), tc.args...)
		written := regexp.MustCompile(`(?m)^.*"id":100,"result":\{.*"ok":true.*$`).FindString(out) // which says what was written
		if holdsCanary(strings.Replace(out, written, "", 1)+errs) || strings.Count(out, "\n") != len(lines) || !strings.Contains(out, tc.want) {
			t.Errorf("stdio, %s: the canary, or not %d answers with %s:\n%s\n%s", name, len(lines), tc.want, out, errs)
		}
	}
	lookInto(t, filepath.Join(dir, "logs"), v.Token, 4)
}

// readTraces reads the trace of every decision that there is.
func readTraces(t *testing.T, g *stack.Gateway) {
	t.Helper()
	admin, seen := e2e.Token(canarySigner, "sub=admin scopes=policy:explain"), 0
	for _, d := range e2e.Lines(t, filepath.Join(g.LogDir, "decisions.jsonl")) {
		id, _ := d["id"].(string)
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.AdminURL+"/decisions/"+id+"/trace", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+admin)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || holdsCanary(string(raw)) {
			t.Errorf("the trace of %v: %v %s", d, err, raw)
		}
		if resp.StatusCode == http.StatusOK && strings.Contains(string(raw), `"trace"`) {
			seen++
		}
	}
	if seen < 10 {
		t.Errorf("read %d traces, want at least 10", seen)
	}
}
