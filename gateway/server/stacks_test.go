package server_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"portcullis/gateway/vault/vaulttest"
)

// TestStacksOfWaitingStreams: a stream of events in which nothing happens keeps two small
// stacks, of the goroutines that wait for events and for its client to go, and little else. A
// few hundred bytes more in the frames that wait, and it keeps twice as much stack.
func TestStacksOfWaitingStreams(t *testing.T) {
	most, held := uint64(8<<10), uint64(14<<10)
	if raceDetector {
		most, held = 4*most, 4*held // its frames are larger
	}
	policy := t.TempDir()
	data := "tiers:\n  many: {requests: 1000000, window_s: 60, burst: 10000, streams: 1000, concurrent: 64}\ngrants:\n  subjects:\n    agent_api: {tier: many}\n"
	if err := os.WriteFile(filepath.Join(policy, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	c := inProcessConfig(t, vaulttest.Start(t))
	c.PolicyDir = policy
	addr := strings.TrimPrefix(serve(t, c), "http://")
	request := fmt.Appendf(nil, "GET /events HTTP/1.1\r\nHost: %s\r\nX-API-Key: dev-api-key\r\n\r\n", addr)
	const streams = 256
	buf := make([]byte, 64<<10)
	goroutines, before, all := runtime.NumGoroutine(), stacks(), inUse()
	for range streams {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		begin(t, conn, request, buf)
	}
	each, of := (stacks()-before)/streams, (inUse()-all)/streams
	t.Logf("a stream: %d bytes, %d of them of stack", of, each)
	if each > most || of > held {
		t.Errorf("a stream holds %d bytes, %d of them of stack; want at most %d and %d", of, each, held, most)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 5*streams/2 { // some are of the gateway itself, or are about to end
		t.Errorf("%d goroutines of %d streams, want two of each", n, streams)
	}
}

// begin sends a request and reads what comes first of the answer.
func begin(t *testing.T, conn net.Conn, request, buf []byte) {
	t.Helper()
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:min(n, 12)]); got != "HTTP/1.1 200" {
		t.Fatalf("answered %q", buf[:n])
	}
}

// inUse are the bytes that the last collection has left in use, and those of all stacks.
func inUse() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// stacks are the bytes of all stacks; each collection halves those of which little is used.
func stacks() uint64 {
	for range 4 {
		runtime.GC()
	}
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
