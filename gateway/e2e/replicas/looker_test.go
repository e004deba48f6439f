//go:build replicas

package replicas_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/e2e"
)

// TestAChangeIsFoundAfterItsLookerWasKilled: a replica that had looked for a subscriber is
// killed, then something is changed past the gateway, then the subscriber goes on at a replica
// that has not looked at it before.
func TestAChangeIsFoundAfterItsLookerWasKilled(t *testing.T) {
	w := start(t, "{}", "RATE_LIMIT_ENABLED=false")
	write := func(v string) {
		t.Helper()
		a := ask(t, "POST", w.vault.Addr+"/v1/secret/data/mcp/agent_api/a/watched", `{"data":{"v":"`+v+`"}}`, "X-Vault-Token: "+w.vault.Token)
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	write("before")
	var at atomic.Int64
	r := w.read(func() string { return w.replicas[at.Load()].url() })
	c := goredis.NewClient(&goredis.Options{Addr: w.redis.Addr})
	defer func() { _ = c.Close() }()
	noted := func() bool { return len(c.Keys(t.Context(), "*:noted").Val()) >= 3 } // the prefix, a/ and the secret
	e2e.Eventually(t, "looks of the first replica", noted)
	if err := w.replicas[0].Kill(); err != nil {
		t.Fatal(err)
	}
	write("after")
	at.Store(1)
	e2e.Eventually(t, "told of the change", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.got["mcp/agent_api/a/watched"] == 1
	})
	w.replicas[0].start()
}
