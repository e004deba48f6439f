package mcp_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp/bridge"
	"portcullis/gateway/op"
)

// reloadable makes the revision of the policy one that a test can change.
func reloadable(revision *atomic.Value) func(*world) {
	revision.Store("one")
	return func(w *world) { w.Revision = func() string { return revision.Load().(string) } }
}

// TestS01_SessionEndsWithItsPolicy holds that a session is bound to the policy that
// it began under: after a reload it is as unknown as any other, and what ran in it
// still finishes.
func TestS01_SessionEndsWithItsPolicy(t *testing.T) {
	var revision atomic.Value
	started, goOn := make(chan struct{}), make(chan struct{})
	l := newLiveWith(t, func(w *world) {
		reloadable(&revision)(w)
		w.answers["kv.read"] = func(*op.Request) (string, error) {
			close(started)
			<-goOn
			return `{"data":{}}`, nil
		}
	})
	id := l.open(t)
	finished := make(chan string)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL, strings.NewReader(readApp))
		if err != nil {
			t.Error(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Mcp-Session-Id", id)
		resp, err := l.Client().Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		finished <- string(b)
	}()
	<-started
	revision.Store("two")
	body := func(method, id string) (int, string) {
		resp := l.send(t, method, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Mcp-Session-Id", id)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		status, text := body(method, id)
		if ustatus, utext := body(method, "unknown"); status != http.StatusNotFound || status != ustatus || text != utext {
			t.Errorf("%s: got %d %s, an unknown session %d %s", method, status, text, ustatus, utext)
		}
	}
	close(goOn)
	if got := <-finished; !strings.Contains(got, `"structuredContent"`) {
		t.Errorf("the running call got %s", got)
	}
	if status, text := body(http.MethodPost, l.open(t)); status != http.StatusOK {
		t.Errorf("a new session got %d %s", status, text)
	}
}

// TestBridgeRenews holds that a client on stdio, which knows nothing of
// sessions, feels no reload: its next message is answered, and it goes on hearing
// of what it has subscribed to.
func TestBridgeRenews(t *testing.T) {
	var revision atomic.Value
	l := newLiveWith(t, reloadable(&revision))
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		r := &bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: func(*http.Request) error { return nil }}
		return r.Serve(ctx, in)
	})
	p.ask(t, initialize)
	p.ask(t, `{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/app"}}`)
	p.ask(t, `{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/other"}}`)
	p.ask(t, `{"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"kv://secret/mcp/agent/other"}}`)
	revision.Store("two")
	if got := p.ask(t, `{"jsonrpc":"2.0","id":5,"method":"ping"}`); got != `{"jsonrpc":"2.0","id":5,"result":{}}` {
		t.Errorf("after the reload got %s", got)
	}
	p.say(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	l.change(t, "mcp/agent/other")
	l.change(t, "mcp/agent/app")
	if got := p.hear(t); !strings.Contains(got, `"uri":"kv://secret/mcp/agent/app"`) {
		t.Errorf("got %s", got)
	}
	revision.Store("three")
	l.Server.CloseClientConnections() // the event log's end of a stream after a reload
	if got := p.hear(t); !strings.Contains(got, `"uri":"kv://secret/mcp/agent/app"`) {
		t.Errorf("in the new session got %s", got)
	}
}

// TestBridgeWithoutSession holds what a client is told when no new session can
// be had.
func TestBridgeWithoutSession(t *testing.T) {
	var revision atomic.Value
	var refuse atomic.Bool
	l := newLiveWith(t, func(w *world) {
		reloadable(&revision)(w)
		w.Limits.Sessions = 1
	})
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		sign := func(r *http.Request) error {
			if refuse.Load() {
				return call.Errorf(call.Unauthenticated, "no credential")
			}
			return nil
		}
		return (&bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: sign}).Serve(ctx, in)
	})
	p.ask(t, initialize)
	revision.Store("two")
	l.open(t, "X-Subject", "other") // takes the only place, which the old session has lost
	if got := p.ask(t, `{"jsonrpc":"2.0","id":5,"method":"ping"}`); !strings.Contains(got, `"id":5,"error"`) {
		t.Errorf("got %s", got)
	}
	refuse.Store(true) // so that the end of the session is not asked for
}
