package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"portcullis/gateway/e2e"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
)

// TestSubscriptionsEndWithTheGateway: the gateway does not end before each subscriber of
// Vault's event API has been told so, with the code after which clients connect again. A
// subscriber that has not read yet has not been told.
func TestSubscriptionsEndWithTheGateway(t *testing.T) {
	ready, said := io.Pipe()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	defer stop()
	g, err := server.New(ctx, inProcessConfig(t, vaulttest.Start(t)), server.Options{Stdout: said, Stderr: os.Stderr, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx); _ = said.Close() }()
	var line struct{ Addr string }
	if err := json.NewDecoder(ready).Decode(&line); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, ready) }()
	url := strings.Replace(line.Addr, "http", "ws", 1) + "/v1/sys/events/subscribe/kv*?json=true"
	conns := make([]*websocket.Conn, 8)
	for i := range conns {
		if conns[i], _, err = websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"X-Vault-Token": {"dev-api-key"}}}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conns[i].CloseNow() }()
	}
	stop()
	e2e.Eventually(t, "the gateway waits for its subscribers", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the gateway has ended before its subscribers were told: %v", err)
		default:
		}
		return running("server.(*Server).leave.func1")
	})
	for i, conn := range conns {
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway || !strings.Contains(err.Error(), "subscribe again") {
			t.Errorf("subscriber %d: got %v", i, err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// running reports whether a goroutine is in a function.
func running(function string) bool {
	stacks := make([]byte, 4<<20)
	return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(function))
}
