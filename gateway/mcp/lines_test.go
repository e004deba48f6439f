package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/mcp/bridge"
)

// both runs a test against the two ways of serving stdio.
func both(t *testing.T, f func(t *testing.T, p pipe)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		f(t, serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
			st := &mcp.Stdio{Server: mcp.New(newWorld(t).Config), Out: out, Who: func() (*call.Caller, error) { return agent(t), nil }}
			return st.Serve(ctx, in)
		}))
	})
	t.Run("remote", func(t *testing.T) {
		l := newLive(t)
		f(t, serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
			r := &bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: func(*http.Request) error { return nil }}
			return r.Serve(ctx, in)
		}))
	})
}

// TestLongLinesKeepTheirID: wherever in the line the id is, its request is answered
// with the true reason, and the next line is read.
func TestLongLinesKeepTheirID(t *testing.T) {
	big := strings.Repeat(`x\"id\":9,`, 200_000)
	both(t, func(t *testing.T, p pipe) {
		for name, tc := range map[string]struct{ line, id string }{
			"first":                 {`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"kv_write","arguments":{"path":"a","data":{"k":"` + big + `"}}}}`, `"id":5,`},
			"last":                  {`{"method":"tools/call","params":{"id":1,"arguments":{"data":{"id":"` + big + `"}}},"jsonrpc":"2.0", "id" : "seven" }`, `"id":"seven",`},
			"a value like a key":    {`{"x":"id","params":"` + big + `","id":6}`, `"id":6,`},
			"none":                  {`{"jsonrpc":"2.0","params":"` + big + `"}`, `"id":null,`},
			"one that is not legal": {`{"id":{"a":1},"params":"` + big + `"}`, `"id":null,`},
			"one that is too long":  {`{"id":"` + strings.Repeat("y", 2<<20) + `"}`, `"id":null,`},
			"no object":             {`[{"id":3},"` + big + `"]`, `"id":null,`},
		} {
			got := p.ask(t, tc.line)
			if !strings.Contains(got, tc.id) || !strings.Contains(got, "longer than 1048576 bytes") || !strings.Contains(got, `"code":"body_too_large"`) {
				t.Errorf("%s: got %.300s, want %s", name, got, tc.id)
			}
		}
		if got := p.ask(t, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
			t.Errorf("the next line got %s", got)
		}
	})
}

// TestStdioBatches: in a session of the revision that has them they are answered as
// over HTTP, in one line.
func TestStdioBatches(t *testing.T) {
	const batch = `[{"jsonrpc":"2.0","id":5,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":6,"method":"nope"}]`
	both(t, func(t *testing.T, p pipe) {
		if got := p.ask(t, batch); !strings.Contains(got, "batches are not supported") {
			t.Errorf("before initialize got %s", got)
		}
		p.ask(t, strings.Replace(initialize, "2025-11-25", "2025-03-26", 1))
		want := `[{"jsonrpc":"2.0","id":5,"result":{}},{"jsonrpc":"2.0","id":6,"error":{"code":-32601,"message":"unknown method"}}]`
		if got := p.ask(t, batch); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := p.ask(t, `[{"jsonrpc":"2.0","id":5,"method":"ping"},1]`); !strings.Contains(got, "-32600") {
			t.Errorf("a part that is no message got %s", got)
		}
		if got := p.ask(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, 7)); !strings.Contains(got, `"id":7,"result":{}`) {
			t.Errorf("the next line got %s", got)
		}
	})
	both(t, func(t *testing.T, p pipe) {
		p.ask(t, initialize)
		if got := p.ask(t, `[{"jsonrpc":"2.0","id":5,"method":"ping"}]`); !strings.Contains(got, "batches are not supported") {
			t.Errorf("in a later revision got %s", got)
		}
	})
}
