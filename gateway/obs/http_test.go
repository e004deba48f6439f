package obs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/obs"
)

// TestWhatPeersDoToConnectionsIsLoggedOnce: as often as somebody who counts says so, by
// address, and no more of it than a line.
func TestWhatPeersDoToConnectionsIsLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	out := l.HTTPErrors(func(addr, rule string) bool {
		seen[addr+" "+rule]++
		return seen[addr+" "+rule] == 1
	})
	const n = 500
	for i := range n {
		out.Printf("http: TLS handshake error from 192.0.2.1:%d: EOF", i+1)
		out.Printf("http2: server connection error from 192.0.2.2:%d: connection error: PROTOCOL_ERROR", i+1)
		out.Printf("timeout waiting for SETTINGS frames from [2001:db8::1]:%d", i+1)
		out.Printf("http2: server: error reading preface from client 192.0.2.3:%d: bogus greeting %q", i+1, strings.Repeat("x", 4000))
		out.Printf("http2: received GOAWAY %q, starting graceful shutdown", fmt.Sprint(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(raw), "\n"); got != 5 || len(raw) > 4000 {
		t.Errorf("got %d lines of %d bytes in all, want 5:\n%.2000s", got, len(raw), raw)
	}
	for _, want := range []string{
		"192.0.2.1 tls_handshake", "192.0.2.2 http_connection", "2001:db8::1 http_connection", "192.0.2.3 http_connection", "unknown http_connection",
	} {
		if seen[want] != n {
			t.Errorf("%s: got %d, want %d; all: %v", want, seen[want], n, seen)
		}
	}
}
