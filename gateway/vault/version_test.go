package vault_test

import (
	"sync"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// TestTheFirstCallAsksForTheVersion: a call to a KV engine does not wait for the
// gateway's own look at Vault, and many calls at once ask one time.
func TestTheFirstCallAsksForTheVersion(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("sys/mounts/legacy", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{Token: call.Secret(v.Token)}, Mounts: []vault.Mount{kvAt("secret"), {Path: "legacy", Type: "kv"}, {Path: "absent", Type: "kv"}}})
	before := len(v.Audit())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := cl.KVVersion("legacy"); got != 1 {
				t.Errorf("got version %d", got)
			}
			if got := cl.KVVersion("absent"); got != 0 {
				t.Errorf("a mount that is not there: got version %d", got)
			}
		})
	}
	wg.Wait()
	asked := map[string]int{}
	for _, e := range v.Audit()[before:] {
		if e.Type == "request" {
			asked[e.Request.Path]++
		}
	}
	if n := asked["sys/internal/ui/mounts/legacy"]; n != 1 {
		t.Errorf("Vault was asked %d times", n)
	}
	if cl.KVVersion("unknown") != 0 {
		t.Error("a mount that is none of the gateway's has a version")
	}
}
