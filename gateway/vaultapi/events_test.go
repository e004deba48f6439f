package vaultapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/hashicorp/vault/api"
)

// A subscription reports the caller's own changes and of those that a grant covers, in
// Vault's form, and of nothing else; it ends with its session.
func clientEvents(t *testing.T, w *world, cl *api.Client) {
	session := must[*api.Secret](t)(cl.Auth().Token().Create(&api.TokenCreateRequest{})).Auth.ClientToken
	conn, resp, err := w.subscribe(t, "kv*?json=true", session)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %+v", err, resp)
	}
	defer func() { _ = conn.CloseNow() }()
	ctx := t.Context()
	must[*api.KVSecret](t)(w.client(t, otherKey).KVv2("secret").Put(ctx, "mcp/other/x", map[string]any{"a": "1"}))
	must[*api.KVSecret](t)(cl.KVv2("secret").Put(ctx, "mcp/agent/heard", map[string]any{"a": "s3cret"}))
	must[*api.KVSecret](t)(cl.KVv2("team-kv").Put(ctx, "shared/heard", map[string]any{"a": "s3cret"}))
	if err := cl.KVv1("legacy").Put(ctx, "mcp/agent/events/heard", map[string]any{"a": "s3cret"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"kv-v2/data-write secret/data/mcp/agent/heard 1", "kv-v2/data-write team-kv/data/shared/heard 1", "kv-v1/write legacy/mcp/agent/events/heard <nil>",
	} {
		if got := notified(t, conn); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if err := w.client(t, session).Auth().Token().RevokeSelf(""); err != nil {
		t.Fatal(err)
	}
	must[*api.KVSecret](t)(cl.KVv2("secret").Put(ctx, "mcp/agent/heard", map[string]any{"a": "2"}))
	if _, raw, err := conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after its session has ended: got %s %v", raw, err)
	}
	w.resume(t)
	for name, path := range map[string]string{"protocol buffers": "kv*", "a filter": "kv*?json=true&filter=x", "many stars": "k*v*x*?json=true"} {
		if _, resp, err := w.subscribe(t, path, agentKey); err == nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %v, %+v", name, err, resp)
		}
	}
	if _, resp, err := w.subscribe(t, "kv*?json=true", "no such key"); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a wrong token: got %v, %+v", err, resp)
	}
	if a := w.send(t, "GET", "sys/events/subscribe/kv*?json=true", agentKey, ""); a.status != 400 {
		t.Errorf("no websocket: got %+v", a)
	}
}

// resume goes on where an earlier subscription ended; what is no place in the caller's events
// is refused before anything is subscribed to.
func (w *world) resume(t *testing.T) {
	t.Helper()
	ctx, kv := t.Context(), w.client(t, agentKey).KVv2("secret")
	conn, _, err := w.subscribe(t, "kv*?json=true", agentKey)
	if err != nil {
		t.Fatal(err)
	}
	must[*api.KVSecret](t)(kv.Put(ctx, "mcp/agent/first", map[string]any{}))
	last := received(t, conn).ID
	_ = conn.CloseNow()
	must[*api.KVSecret](t)(kv.Put(ctx, "mcp/agent/between", map[string]any{}))
	if conn, _, err = w.subscribe(t, "kv*?json=true", agentKey, last); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	must[*api.KVSecret](t)(kv.Put(ctx, "mcp/agent/after", map[string]any{}))
	for _, want := range []string{"kv-v2/data-write secret/data/mcp/agent/between 1", "kv-v2/data-write secret/data/mcp/agent/after 1"} {
		if got := notified(t, conn); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for key, id := range map[string]string{agentKey: "no such id", otherKey: last} {
		if _, resp, err := w.subscribe(t, "kv*?json=true", key, id); err == nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s with %s: got %v, %+v", key, id, err, resp)
		}
	}
}

// subscribe opens a stream of events of a type, behind the event with an id if there is one.
func (w *world) subscribe(t *testing.T, what, token string, after ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	url := strings.Replace(w.url, "http", "ws", 1) + "/v1/sys/events/subscribe/" + what
	return websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"X-Vault-Token": {token}, "Last-Event-Id": after}})
}

// notification is an event as a client reads it.
type notification struct {
	ID   string `json:"id"`
	Data struct {
		Type  string `json:"event_type"`
		Event struct {
			Metadata map[string]any `json:"metadata"`
		} `json:"event"`
	} `json:"data"`
}

// notified is the next event of a stream.
func notified(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	n := received(t, conn)
	return fmt.Sprint(n.Data.Type, " ", n.Data.Event.Metadata["data_path"], " ", n.Data.Event.Metadata["current_version"])
}

func received(t *testing.T, conn *websocket.Conn) (n notification) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), patience)
	defer done()
	_, raw, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &n); err != nil || strings.Contains(string(raw), "s3cret") {
		t.Fatalf("%v: %s", err, raw)
	}
	return n
}
