package e2e_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"portcullis/gateway/e2e"
)

// tracesOf starts a collector, which reads what it gets with OpenTelemetry's own types.
type tracesOf struct {
	*httptest.Server
	slow  sync.RWMutex              // held for writing while no request is answered
	mu    sync.Mutex                // guards spans
	spans map[string][]*traces.Span // by trace id
}

func collectTraces(t *testing.T) *tracesOf {
	t.Helper()
	c := &tracesOf{spans: map[string][]*traces.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.slow.RLock()
		defer c.slow.RUnlock()
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		raw, err := io.ReadAll(body)
		var req otlp.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(raw, &req)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("got %s, %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range req.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					id := hex.EncodeToString(s.GetTraceId())
					c.spans[id] = append(c.spans[id], s)
				}
			}
		}
	}))
	t.Cleanup(func() { c.Close() })
	return c
}

// restart starts a collector that was closed, at its address.
func (c *tracesOf) restart(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(c.Config.Handler)
	_ = s.Listener.Close() // the other one is used
	s.Listener = l
	s.Start()
	c.Server = s
}

// parent is a traceparent of a trace, and of a span in it.
func parent(n int) (header, trace, span string) {
	trace, span = fmt.Sprintf("0af7651916cd43dd8448eb211c8031%02x", n), fmt.Sprintf("b7ad6b71692033%02x", n)
	return "00-" + trace + "-" + span + "-01", trace, span
}

// TestTracesOfEveryTransport: a call over REST, over both eras of MCP and over stdio leaves
// a trace in which the caller's span is the parent of the call's, and that of the parts;
// Vault's has the id by which its audit log knows the call. The evidence names the trace.
func TestTracesOfEveryTransport(t *testing.T) {
	v, c := e2e.StartVault(t), collectTraces(t)
	g := e2e.StartGateway(t, v, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	const accept = "Accept: application/json, text/event-stream"
	e2e.Do(t, "PUT", g.URL+"/secrets/app", `{"data":{"k":"v"}}`)
	tool := func(n int, meta string) string {
		p, _, _ := parent(n)
		return `{"jsonrpc":"2.0","id":"call-7","method":"tools/call","params":{"name":"kv_read","arguments":{"path":"app"},"_meta":{"traceparent":"` + p + `"` + meta + `}}}`
	}
	rest, _, _ := parent(1)
	open(t, "GET", g.URL+"/secrets/app", "", "Traceparent: "+rest)
	hello := open(t, "POST", g.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, accept)
	link, _, _ := parent(9)
	open(t, "POST", g.URL+"/mcp", tool(2, ""), accept, "Mcp-Session-Id: "+hello.Header.Get("Mcp-Session-Id"), "Traceparent: "+link)
	open(t, "POST", g.URL+"/mcp", tool(3, `,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`),
		accept, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: kv_read")
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), "stdio")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{
		"VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + v.Token, "LOG_DIR=logs", `API_KEYS_JSON={"dev-api-key":"agent_api"}`, "PORTCULLIS_API_KEY=" + e2e.Key,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL,
	}
	cmd.Stdin = strings.NewReader(tool(4, `,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`) + "\n")
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), `"isError":false`) && !strings.Contains(string(out), `"version":1`) {
		t.Errorf("stdio: got %s, %v", out, err)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, want := range map[int]struct{ name, session, protocol string }{
		1: {"GET /secrets/*path", "", ""}, 2: {"tools/call kv.read", "a session", "2025-11-25"}, 3: {"tools/call kv.read", "", "2026-07-28"}, 4: {"tools/call kv.read", "", "2026-07-28"},
	} {
		_, id, span := parent(n)
		c.hold(t, id, span, want.name)
		root := spanNamed(c.spans[id], want.name)
		if got := attribute(root, "mcp.session.id"); (got != "") != (want.session != "") || attribute(root, "mcp.protocol.version") != want.protocol {
			t.Errorf("%d: got session %q and protocol %q", n, got, attribute(root, "mcp.protocol.version"))
		}
		if n == 2 && (len(root.GetLinks()) != 1 || hex.EncodeToString(root.GetLinks()[0].GetTraceId()) != link[3:35]) {
			t.Errorf("the context of the HTTP request is no link: %v", root.GetLinks())
		}
	}
	named := 0
	for _, l := range e2e.CallLines(t, g.AuditFile()) {
		if _, trace, _ := parent(1); l["trace_id"] == trace {
			named++
		}
	}
	if named != 2 {
		t.Errorf("the evidence names the trace of the REST call %d times, want in both lines", named)
	}
}

// hold holds a trace to what it must have.
func (c *tracesOf) hold(t *testing.T, id, parent, name string) {
	t.Helper()
	root := spanNamed(c.spans[id], name)
	if root == nil || hex.EncodeToString(root.GetParentSpanId()) != parent || root.GetKind() != traces.Span_SPAN_KIND_SERVER {
		t.Fatalf("trace %s: got %v, want a span %s below %s", id, c.spans[id], name, parent)
	}
	for _, stage := range []string{"bind", "decide", "limit", "audit", "vault", "outcome"} {
		s := spanNamed(c.spans[id], stage)
		if s == nil || !slices.Equal(s.GetParentSpanId(), root.GetSpanId()) || s.GetStartTimeUnixNano() < root.GetStartTimeUnixNano() || s.GetEndTimeUnixNano() > root.GetEndTimeUnixNano() {
			t.Errorf("trace %s: the stage %s is %v", id, stage, s)
		}
	}
	if got := attribute(spanNamed(c.spans[id], "vault"), "portcullis.correlation_id"); got == "" || got != attribute(root, "portcullis.decision_id") {
		t.Errorf("trace %s: Vault's span has the correlation id %q", id, got)
	}
}

func spanNamed(all []*traces.Span, name string) *traces.Span {
	i := slices.IndexFunc(all, func(s *traces.Span) bool { return s.GetName() == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

func attribute(s *traces.Span, key string) string {
	for _, kv := range s.GetAttributes() {
		if kv.GetKey() == key {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}
