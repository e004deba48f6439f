package replicas_test

import (
	"net/http"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/retry"
)

// TestAChangePastTheGatewayIsToldOnce: readers at every replica hear of it once, because one
// replica looks for all.
func TestAChangePastTheGatewayIsToldOnce(t *testing.T) {
	w := start(t, "{}", "RATE_LIMIT_ENABLED=false")
	var readers []*reader
	for _, one := range w.replicas {
		if got := one.write("a/watched", "1"); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		readers = append(readers, w.read(one.url))
	}
	w.replicas[0].write("a/ready", "1")
	for _, r := range readers {
		e2e.Eventually(t, "told of a write", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.got["mcp/agent_api/a/ready"] > 0 })
	}
	retry.Sleep(t.Context(), 12*time.Second) // two rounds of looks: each replica knows the state
	before := make([]int, len(readers))
	for i, r := range readers {
		r.note(func() { before[i] = r.got["mcp/agent_api/a/watched"] })
	}
	body := `{"data":{"v":"past the gateway"}}`
	if a := ask(t, "POST", w.vault.Addr+"/v1/secret/data/mcp/agent_api/a/watched", body, "X-Vault-Token: "+w.vault.Token); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i, r := range readers {
		e2e.Eventually(t, "told of the change", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.got["mcp/agent_api/a/watched"] > before[i]
		})
	}
	retry.Sleep(t.Context(), 15*time.Second) // three more rounds
	for i, r := range readers {
		r.note(func() {
			if n := r.got["mcp/agent_api/a/watched"] - before[i]; n != 1 {
				t.Errorf("replica %d told of it %d times", i, n)
			}
		})
	}
}
