package mcp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
	"portcullis/gateway/mcp/bridge"
)

// pipe is the far end of a stdio connection.
type pipe struct {
	in  *io.PipeWriter
	out *bufio.Reader
}

func (p pipe) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (p pipe) hear(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// ask says a line and returns the next one.
func (p pipe) ask(t *testing.T, line string) string {
	t.Helper()
	p.say(t, line)
	return p.hear(t)
}

// serve runs a server of stdio until the test ends.
func serve(t *testing.T, run func(ctx context.Context, in io.Reader, out io.Writer) error) pipe {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), inR, outW) }()
	t.Cleanup(func() {
		_ = inW.Close()
		_ = outR.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return pipe{inW, bufio.NewReader(outR)}
}

func TestStdioInProcess(t *testing.T) {
	w := newWorld(t)
	w.Events = events.New(events.Config{Allow: func(context.Context, *call.Caller, events.Event) bool { return true }})
	var revoked atomic.Bool
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		st := &mcp.Stdio{Server: mcp.New(w.Config), Out: out, Who: func() (*call.Caller, error) {
			if revoked.Load() {
				return nil, call.Errorf(call.Unauthenticated, "no longer valid")
			}
			return agent(t), nil
		}}
		return st.Serve(ctx, in)
	})
	for _, tc := range []struct{ name, line, want string }{
		{"before initialize", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`, `"structuredContent":{"data":{"k":"v"}`},
		{"nonsense", `nonsense`, `"code":-32700`},
		{"a line that is too long", `"` + strings.Repeat("x", 2<<20) + `"`, `"code":-32700`},
		{"modern", `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{` + modernMeta + `}}`, `"resultType":"complete"`},
		{"initialize", initialize, `"protocolVersion":"2025-11-25"`},
		{"again", initialize, `"code":-32600`},
		{"subscribe", `{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/app"}}`, `"result":{}`},
	} {
		if got := p.ask(t, tc.line); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	path, err := call.ParsePath("mcp/agent/app")
	if err != nil {
		t.Fatal(err)
	}
	w.Events.Publish(events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: path})
	if got := p.hear(t); !strings.Contains(got, "notifications/resources/updated") {
		t.Errorf("got %s", got)
	}
	p.say(t, `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`)
	if got := p.hear(t); !strings.Contains(got, "subscriptions/acknowledged") {
		t.Errorf("got %s", got)
	}
	p.say(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"l"}}`)
	revoked.Store(true)
	p.say(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`) // which nothing answers
	if got := p.ask(t, `{"jsonrpc":"2.0","id":9,"method":"ping"}`); !strings.Contains(got, `"code":"unauthenticated"`) {
		t.Errorf("after revocation got %s", got)
	}
	w.Events.Close()
}

// TestStdioHearsFromTheStart holds that a change is reported which is made as soon as
// initialize is answered, however late the stream begins.
func TestStdioHearsFromTheStart(t *testing.T) {
	w := newWorld(t)
	changed := make(chan bool)
	w.Events = events.New(events.Config{
		Allow: func(context.Context, *call.Caller, events.Event) bool { return true },
		Hold:  func(*call.Caller) (func(), error) { <-changed; return func() {}, nil },
	})
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return (&mcp.Stdio{Server: mcp.New(w.Config), Out: out, Who: func() (*call.Caller, error) { return agent(t), nil }}).Serve(ctx, in)
	})
	p.ask(t, initialize)
	w.Events.Publish(events.Event{Kind: events.ToolsChanged})
	close(changed)
	if got := p.hear(t); !strings.Contains(got, "notifications/tools/list_changed") {
		t.Errorf("got %s", got)
	}
	w.Events.Close()
}

// TestStdioStreamsKeepNothing holds that streams, however many, keep no request from
// being read.
func TestStdioStreamsKeepNothing(t *testing.T) {
	w := newWorld(t)
	w.Events = events.New(events.Config{})
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return (&mcp.Stdio{Server: mcp.New(w.Config), Out: out, Who: func() (*call.Caller, error) { return agent(t), nil }}).Serve(ctx, in)
	})
	for i := range 70 {
		listen := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},%s}}`, i, modernMeta)
		if got := p.ask(t, listen); !strings.Contains(got, "subscriptions/acknowledged") {
			t.Fatalf("stream %d: got %s", i, got)
		}
	}
	if got := p.ask(t, `{"jsonrpc":"2.0","id":"p","method":"ping"}`); got != `{"jsonrpc":"2.0","id":"p","result":{}}` {
		t.Errorf("got %s", got)
	}
	w.Events.Close()
}

func TestBridge(t *testing.T) {
	l := newLive(t)
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		r := &bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: func(*http.Request) error { return nil }}
		return r.Serve(ctx, in)
	})
	for _, tc := range []struct{ name, line, want string }{
		{"modern", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"},` + modernMeta + `}}`, `"structuredContent":{"data":{"k":"v"}`},
		{"modern, a name that no header can carry", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"é",` + modernMeta + `}}`, `unknown prompt`},
		{"nonsense", `nonsense`, `"code":-32700`},
		{"plain", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `"result":{}`},
		{"initialize", initialize, `"logging":{}`},
		{"in the session", `{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/app"}}`, `"result":{}`},
	} {
		if got := p.ask(t, tc.line); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	p.say(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	l.change(t, "mcp/agent/app")
	if got := p.hear(t); !strings.Contains(got, "notifications/resources/updated") {
		t.Errorf("got %s", got)
	}
}

func TestBridgeUnreachable(t *testing.T) {
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		r := &bridge.Bridge{URL: "http://127.0.0.1:1/mcp", Client: http.DefaultClient, Out: out, Sign: func(*http.Request) error { return nil }}
		return r.Serve(ctx, in)
	})
	if got := p.ask(t, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); !strings.Contains(got, "the gateway cannot be reached") {
		t.Errorf("got %s", got)
	}
}

// TestStdioAnswersToTheEnd holds that what was asked before stdin ended is answered,
// and that a stream does not keep the program.
func TestStdioAnswersToTheEnd(t *testing.T) {
	in := initialize + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
		`{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}` + "\n"
	for i := range 20 {
		in += fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`, 100+i) + "\n"
	}
	l := newLive(t)
	w := newWorld(t)
	w.Events = l.log
	for name, run := range map[string]func(io.Writer) error{
		"in process": func(out io.Writer) error {
			st := &mcp.Stdio{Server: mcp.New(w.Config), Out: out, Who: func() (*call.Caller, error) { return agent(t), nil }}
			return st.Serve(t.Context(), strings.NewReader(in))
		},
		"remote": func(out io.Writer) error {
			r := &bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: func(*http.Request) error { return nil }}
			return r.Serve(t.Context(), strings.NewReader(in))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(&out); err != nil {
				t.Error(err)
			}
			for i := range 20 {
				if want := fmt.Sprintf(`"id":%d,"result":{"content"`, 100+i); !strings.Contains(out.String(), want) {
					t.Errorf("no %s", want)
				}
			}
		})
	}
}

// TestStdioOpensASessionWhenItIsAdmitted: a session that was refused is none, and what is
// kept of one is on record between intent and outcome, as over HTTP.
func TestStdioOpensASessionWhenItIsAdmitted(t *testing.T) {
	w := newWorld(t)
	c := &till{}
	w.Admit, w.Change = c.admit, c.change
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return (&mcp.Stdio{Server: mcp.New(w.Config), Out: out, Who: func() (*call.Caller, error) { return agent(t), nil }}).Serve(ctx, in)
	})
	const level = `{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"debug"}}`
	if got := p.ask(t, initialize); !strings.Contains(got, "rate_limited") {
		t.Errorf("with an empty bucket: got %s", got)
	}
	c.fill(10)
	if got := p.ask(t, level); !strings.Contains(got, "-32601") {
		t.Errorf("without a session: got %s", got)
	}
	if got := p.ask(t, initialize); !strings.Contains(got, `"protocolVersion":"2025-11-25"`) {
		t.Errorf("when there is a token: got %s", got)
	}
	if got := p.ask(t, level); !strings.Contains(got, `"result":{}`) {
		t.Errorf("in the session: got %s", got)
	}
	if got := strings.Join(c.taken(), ", "); got != "mcp.initialize, mcp.logging_setLevel bad, mcp.initialize, mcp.logging_setLevel" {
		t.Errorf("charged: %s", got)
	}
}
