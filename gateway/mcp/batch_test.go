package mcp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
)

// TestS04_Batch holds that batches are answered in the one revision that has them,
// each call in them for itself, and are refused as a whole otherwise.
func TestS04_Batch(t *testing.T) {
	l := newLive(t)
	id := map[string]string{}
	for _, v := range []string{"2025-11-25", "2025-06-18", "2025-03-26"} {
		resp := l.send(t, http.MethodPost, strings.Replace(initialize, "2025-11-25", v, 1))
		id[v] = resp.Header.Get("Mcp-Session-Id")
	}
	const (
		ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		pong = `{"jsonrpc":"2.0","id":1,"result":{}}`
		note = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
		read = `{"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}`
		nope = `{"jsonrpc":"2.0","id":2,"method":"nope"}`
	)
	many := "[" + strings.TrimSuffix(strings.Repeat(note+",", 51), ",") + "]"
	for _, tc := range []struct {
		name, session, body string
		status              int
		want                string
		calls               int
	}{
		{"two", "2025-03-26", " [" + ping + "," + read + "]", 200, "[" + pong + `,{"jsonrpc":"2.0","id":"r","result":{"content"`, 1},
		{"two of the same call", "2025-03-26", "[" + read + "," + strings.Replace(read, `"r"`, `"s"`, 1) + "]", 200, `"id":"s"`, 2},
		{"one fails", "2025-03-26", "[" + nope + "," + ping + "," + note + "]", 200, `[{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"unknown method"}},` + pong + "]", 0},
		{"nothing to answer", "2025-03-26", "[" + note + "]", 202, "", 0},
		{"empty", "2025-03-26", "[]", 400, "-32600", 0},
		{"an id twice", "2025-03-26", "[" + ping + "," + strings.Replace(read, `"r"`, "1", 1) + "]", 400, "-32600", 0},
		{"a part is nonsense", "2025-03-26", "[" + read + ",1]", 400, "-32600", 0},
		{"a batch in it", "2025-03-26", "[" + read + ",[" + ping + "]]", 400, "-32600", 0},
		{"initialize in it", "2025-03-26", "[" + read + "," + initialize + "]", 400, "-32600", 0},
		{"a key twice", "2025-03-26", "[" + read + `,{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}]`, 400, "-32700", 0},
		{"too many", "2025-03-26", many, 400, "-32600", 0},
		{"a later revision", "2025-06-18", "[" + read + "]", 400, "-32600", 0},
		{"the last legacy one", "2025-11-25", "[" + read + "]", 400, "-32600", 0},
		{"no session", "", "[" + read + "]", 400, "-32600", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l.world.mu.Lock()
			l.world.calls = nil
			l.world.mu.Unlock()
			var headers []string
			if tc.session != "" {
				headers = []string{"Mcp-Session-Id", id[tc.session]}
			}
			resp := l.send(t, http.MethodPost, tc.body, headers...)
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.status || !strings.Contains(string(got), tc.want) {
				t.Errorf("got %d %s, want %d with %s", resp.StatusCode, got, tc.status, tc.want)
			}
			l.world.mu.Lock()
			defer l.world.mu.Unlock()
			if len(l.world.calls) != tc.calls {
				t.Errorf("%d calls were made, want %d", len(l.world.calls), tc.calls)
			}
		})
	}
	if resp := l.send(t, http.MethodPost, "["+read+"]", "Mcp-Session-Id", id["2025-03-26"], "X-Subject", "other"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("somebody else's session got %d", resp.StatusCode)
	}
}

// TestABatchOfWhoIsRevokedMeanwhileStaysHere: none of its answers leaves, those of before
// included.
func TestABatchOfWhoIsRevokedMeanwhileStaysHere(t *testing.T) {
	l := newLiveWith(t, func(w *world) {
		w.Withdrawn = func(*call.Caller) error { return call.Errorf(call.Unauthenticated, "withdrawn") }
	})
	id := l.send(t, http.MethodPost, strings.Replace(initialize, "2025-11-25", "2025-03-26", 1)).Header.Get("Mcp-Session-Id")
	resp := l.send(t, http.MethodPost, `[{"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"kv.read","arguments":{"path":"app"}}}]`, "Mcp-Session-Id", id)
	got, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(got), "withdrawn") || strings.Contains(string(got), `"id":"r"`) {
		t.Errorf("got %s, %v", got, err)
	}
}
