package server_test

import (
	"strings"
	"testing"
)

// TestKeylessWithSeveralMounts: callers who log in to Vault as themselves have their own
// secrets in a KV mount of version 1 as well, which the configuration says it is: Vault
// tells the gateway's own identity of no mount. Vault's fence holds there too.
func TestKeylessWithSeveralMounts(t *testing.T) {
	k := newKeyless(t, `MOUNTS=[{"engine":"kv","path":"legacy","version":1},{"engine":"kv","path":"team/kv","version":2}]`)
	for path, version := range map[string]string{"legacy": "1", "team/kv": "2"} {
		k.vault.Write("sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]string{"version": version}})
	}
	for _, mount := range []string{"legacy", "team/kv"} {
		own, at := "/kv/"+mount+"/mcp/narrow/app", "/v1/"+mount+"/mcp/narrow/app"
		if mount != "legacy" {
			at = "/v1/" + mount + "/data/mcp/narrow/app"
		}
		for _, step := range []struct {
			method, path, key, body string
			status                  int
			says                    string
		}{
			{"PUT", own, "key-of-narrow", `{"data":{"in":"it"}}`, 200, ""},
			{"GET", own, "key-of-narrow", "", 200, `"in":"it"`},
			{"GET", at, "key-of-narrow", "", 200, `"in":"it"`},
			{"GET", "/secrets?prefix=&mount=" + mount, "key-of-narrow", "", 200, "app"},
			{"GET", own, "key-of-wide", "", 403, ""},
			{"DELETE", own, "key-of-narrow", "", 204, ""},
		} {
			status, body := k.send(t, step.method, step.path, step.key, step.body)
			if status != step.status || !strings.Contains(body, step.says) {
				t.Errorf("%s %s by %s: got %d %s", step.method, step.path, step.key, status, body)
			}
		}
	}
}
