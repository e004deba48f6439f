package conformance_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
)

// openEvents asks for an event stream as the development caller.
func openEvents(ctx context.Context, t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "dev-api-key")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// listen opens an event stream and waits until it has begun.
func listen(t *testing.T, g *stack.Gateway) *bufio.Reader {
	t.Helper()
	resp := openEvents(t.Context(), t, g.URL+"/events")
	t.Cleanup(func() { _ = resp.Body.Close() })
	b := bufio.NewReader(resp.Body)
	if line, err := b.ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d %q %v", resp.StatusCode, line, err)
	}
	return b
}

// rest reads a stream to its end, which must come soon.
func rest(t *testing.T, b *bufio.Reader) string {
	t.Helper()
	done := make(chan string)
	go func() {
		var all strings.Builder
		_, _ = b.WriteTo(&all) // how it ends does not matter
		done <- all.String()
	}()
	select {
	case s := <-done:
		return s
	case <-time.After(time.Minute):
		t.Fatal("the stream goes on")
		return ""
	}
}

// stop is a team's policy that takes every secret away.
const stop = `package policy.deny.stop

import rego.v2

# METADATA
# description: No secrets today.
# custom:
#   id: stop.kv
deny contains {"code": "stop.kv", "msg": "no secrets today", "audience": "agent", "rule": "stop.kv"} if {
	input.action.engine == "kv"
}
`

// stopTest is its test, without which the gateway would refuse it.
const stopTest = `package policy.deny.stop_test

import rego.v2

codes(i) := {d.code | some d in data.policy.deny.stop.deny with input as i}

test_secrets_are_stopped if codes({"action": {"engine": "kv"}}) == {"stop.kv"}
`

// initialize opens a session of the legacy era and returns its id.
func initialize(t *testing.T, g *stack.Gateway) string {
	t.Helper()
	resp := rpc(t, g, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, "")
	return resp.Header.Get("Mcp-Session-Id")
}

func ping(t *testing.T, g *stack.Gateway, session string) int {
	t.Helper()
	return rpc(t, g, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, session).StatusCode
}

func rpc(t *testing.T, g *stack.Gateway, body, session string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-API-Key", "dev-api-key")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestReloadEndsStreams holds that a policy reload that removes a right ends the
// stream before the next event, and the sessions that began before it.
func TestReloadEndsStreams(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "data.yaml", "grants: {subjects: {}}\n")
	g, v := newGateway(t, "POLICY_DIR="+dir)
	b := listen(t, g)
	session := initialize(t, g)
	if status := ping(t, g, session); status != http.StatusOK {
		t.Errorf("in the session got %d", status)
	}
	put(t, dir, "stop_test.rego", stopTest)
	put(t, dir, "stop.rego", stop)
	if got := rest(t, b); strings.Contains(got, "data:") {
		t.Errorf("an event came: %s", got)
	}
	if status := ping(t, g, session); status != http.StatusNotFound {
		t.Errorf("after the reload the session got %d", status)
	}
	again := listen(t, g)
	if _, err := v.Send(t.Context(), http.MethodPost, "secret/data/mcp/agent_api/x", `{"data":{"k":"v"}}`); err != nil {
		t.Fatal(err)
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	if got := rest(t, again); strings.Contains(got, "data:") {
		t.Errorf("an event came to a caller without the right: %s", got)
	}
}

// TestRevocationEndsStreams holds that a revoked key's stream ends by itself.
func TestRevocationEndsStreams(t *testing.T) {
	list := filepath.Join(t.TempDir(), "denied.jsonl")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g, _ := newGateway(t, "DENY_LIST_FILE="+list)
	b := listen(t, g)
	if err := os.WriteFile(list, []byte(`{"subject":"agent_api"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rest(t, b)
}

// put writes a file as a deployment does: whole, by renaming it.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	tmp := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
