package replicas_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"portcullis/gateway/e2e"
)

// subscribe opens a subscription of Vault's event API at a replica, behind the event with an id.
func (r *replica) subscribe(t *testing.T, after string) *websocket.Conn {
	t.Helper()
	header := http.Header{"X-Vault-Token": {e2e.Key}}
	if after != "" {
		header.Set("Last-Event-Id", after)
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(r.url(), "http", "ws", 1)+"/v1/sys/events/subscribe/kv*?json=true", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// heard is the next event of a subscription: its id, and the path that it is about.
func heard(t *testing.T, conn *websocket.Conn) (id, path string) {
	t.Helper()
	_, raw, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var n struct {
		ID   string `json:"id"`
		Data struct {
			Event struct {
				Metadata struct {
					Path string `json:"data_path"`
				} `json:"metadata"`
			} `json:"event"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		t.Fatal(err)
	}
	return n.ID, strings.TrimPrefix(n.Data.Event.Metadata.Path, "secret/data/mcp/agent_api/")
}

// TestASubscriptionGoesOnAtAnotherReplica: when its replica is told to stop, a subscriber of
// Vault's event API is told to connect again, and hears at another one of each change since
// the last event that it has received, in order and once.
func TestASubscriptionGoesOnAtAnotherReplica(t *testing.T) {
	w := start(t, "{}", "RATE_LIMIT_ENABLED=false", "SHUTDOWN_DELAY=0s")
	first, second := w.replicas[0], w.replicas[1]
	conn := first.subscribe(t, "")
	first.write("a/before", "1")
	last, path := heard(t, conn)
	if path != "a/before" {
		t.Fatalf("heard of %s", path)
	}
	if err := first.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the stopping replica: got %v", err)
	}
	<-first.Done()
	for i := range 3 {
		second.write(fmt.Sprintf("a/between-%d", i), "1")
	}
	conn = w.replicas[2].subscribe(t, last)
	second.write("a/after", "1")
	for _, want := range []string{"a/between-0", "a/between-1", "a/between-2", "a/after"} {
		if _, got := heard(t, conn); got != want {
			t.Errorf("heard of %s, want %s", got, want)
		}
	}
}
