package conformance_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// The same trivial tool, called in process with the same request.
const (
	echoCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}}}`
	echoReply = `"text":"hello"`
)

// newEcho returns a modern request for the tool.
func newEcho(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/mcp", strings.NewReader(echoCall))
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo",
	} {
		r.Header.Set(k, v)
	}
	return r
}

// ours is the gateway's handler with the tool.
func ours(t testing.TB) http.Handler {
	t.Helper()
	none, err := op.NewCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	echo := mcp.Tool{
		Name: "echo",
		Offer: func(context.Context, *mcp.Exchange) jsontext.Value {
			return jsontext.Value(`{"name":"echo","inputSchema":{"type":"object"}}`)
		},
		Call: func(context.Context, *mcp.Exchange, jsontext.Value) (jsontext.Value, error) {
			return jsontext.Value(`{"content":[{"type":"text","text":"hello"}]}`), nil
		},
	}
	s := mcp.New(mcp.Config{
		Catalogue: none, KVMount: "secret", Version: "bench", Providers: []mcp.Provider{{Tools: []mcp.Tool{echo}}},
		Callable: func(context.Context, *call.Caller, *op.Op) bool { return true },
	})
	c := &call.Caller{Subject: "bench"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeMCP(w, r, c) })
}

// theirs is the Go SDK's handler with the tool, stateless and answering JSON.
func theirs() http.Handler {
	s := sdk.NewServer(&sdk.Implementation{Name: "bench", Version: "1"}, nil)
	s.AddTool(&sdk.Tool{Name: "echo", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "hello"}}}, nil
	})
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
}

// BenchmarkToolsCall calls the tool through both in one run.
func BenchmarkToolsCall(b *testing.B) {
	for name, h := range map[string]http.Handler{"portcullis": ours(b), "go-sdk": theirs()} {
		b.Run(name, func(b *testing.B) { benchmark(b, h) })
	}
}

func benchmark(b *testing.B, h http.Handler) {
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newEcho(b.Context()))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), echoReply) {
			b.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
}

// TestToolsCallIsLean holds the number of bytes, which does not depend on the
// machine, at a tenth of the SDK's.
func TestToolsCallIsLean(t *testing.T) {
	own := testing.Benchmark(func(b *testing.B) { benchmark(b, ours(b)) })
	sdks := testing.Benchmark(func(b *testing.B) { benchmark(b, theirs()) })
	t.Logf("portcullis: %s %s", own, own.MemString())
	t.Logf("go-sdk:     %s %s", sdks, sdks.MemString())
	if own.AllocedBytesPerOp()*10 > sdks.AllocedBytesPerOp() {
		t.Errorf("%d bytes beside %d", own.AllocedBytesPerOp(), sdks.AllocedBytesPerOp())
	}
}
