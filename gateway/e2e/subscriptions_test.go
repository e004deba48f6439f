package e2e_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestSubscriptionsEndWithTheGateway: when the process ends, each subscriber of Vault's event
// API is told so with the code after which clients connect again.
func TestSubscriptionsEndWithTheGateway(t *testing.T) {
	root := e2e.Root(t)
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: append(stack.DevEnv(root, e2e.StartVault(t)), "SHUTDOWN_DELAY=0s")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	url := strings.Replace(g.URL, "http", "ws", 1) + "/v1/sys/events/subscribe/kv*?json=true"
	conns := make([]*websocket.Conn, 8)
	for i := range conns {
		if conns[i], _, err = websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"X-Vault-Token": {e2e.Key}}}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conns[i].CloseNow() }()
	}
	if err := g.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway || !strings.Contains(err.Error(), "subscribe again") {
			t.Errorf("subscriber %d: got %v", i, err)
		}
	}
	if <-g.Done(); g.ExitCode() != 0 {
		t.Errorf("exit code %d\n%s", g.ExitCode(), g.Output())
	}
}
