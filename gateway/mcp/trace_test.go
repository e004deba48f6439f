package mcp_test

import (
	"testing"

	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// TestTraceContext: what the message says is the parent, and then its HTTP request is
// a link; else the request is the parent. What cannot be read is ignored.
func TestTraceContext(t *testing.T) {
	const inside, outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-11111111111111111111111111111111-2222222222222222-01"
	for name, c := range map[string]struct {
		meta string
		want op.Trace
	}{
		"of the message": {`{"traceparent":"` + inside + `","tracestate":"a=b"}`, op.Trace{Parent: inside, State: "a=b", Link: outside}},
		"of the request": {`{}`, op.Trace{Parent: outside}},
		"no text":        {`{"traceparent":7}`, op.Trace{Parent: outside}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			body := `{"jsonrpc":"2.0","id":"x1","method":"tools/call","params":{"name":"kv_read","arguments":{"path":"app"},"_meta":` + c.meta + `}}`
			post(t, mcp.New(w.Config).ServeRPC, agent(t), body, "Traceparent", outside)
			if len(w.calls) != 1 {
				t.Fatalf("got %d calls", len(w.calls))
			}
			c.want.Method, c.want.ID = "tools/call", `"x1"`
			if got := w.calls[0].Trace; got.Protocol == "" {
				t.Error("no protocol version")
			} else if got.Protocol = ""; got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
