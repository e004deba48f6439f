package vaultapi_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/vault/vaulttest"
)

// pairData grants the agent what it does for anybody, and a person what is the person's.
const pairData = `
version: 2
grants:
  subjects:
    agent: {kv: {shared: {}}}
    ann: {kv: {shared/ann: {}}}
`

// TestASessionOfAPairIsThePairs: a session that was begun on behalf of a person is no more
// than the two may together, ends with the person's token, and goes with no other person;
// so is one that was begun with it.
func TestASessionOfAPairIsThePairs(t *testing.T) {
	w := &world{dir: t.TempDir(), vault: vaulttest.Start(t)}
	dir, key := t.TempDir(), authtest.NewKey("ES256", "one")
	for name, text := range map[string]string{filepath.Join(dir, "data.yaml"): pairData, filepath.Join(w.dir, "jwks.json"): string(authtest.JWKS(key))} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.begin(t, map[string]string{
		"POLICY_DIR": dir, "AUTH_JWT_ENABLED": "true", "JWT_JWKS_FILE": filepath.Join(w.dir, "jwks.json"), "JWT_ISSUER": "mcp-auth", "JWT_AUDIENCE": "mcp-agents",
	})
	for _, who := range []string{"ann", "bob"} {
		w.vault.Write("secret/data/shared/"+who+"/app", map[string]any{"data": map[string]string{"of": who}})
	}
	behalf := "X-On-Behalf-Of: Bearer " + key.Sign(authtest.Claims("ann", map[string]any{"exp": time.Now().Add(10 * time.Minute).Unix()}))
	alone := w.token(t, w.send(t, "PUT", "auth/token/create", agentKey, "{}"))
	created := w.send(t, "PUT", "auth/token/create", agentKey, "{}", behalf)
	pairs := map[string]string{
		"created":    w.token(t, created),
		"logged in":  w.token(t, w.send(t, "PUT", "auth/approle/login", "", `{"role_id":"`+w.keyID(t)+`","secret_id":"`+agentKey+`"}`, behalf)),
		"begun with": "",
	}
	pairs["begun with"] = w.token(t, w.send(t, "PUT", "auth/token/create", pairs["created"], "{}"))
	auth, _ := created.body["auth"].(map[string]any)
	if left, _ := auth["lease_duration"].(float64); left > 660 { // with the leeway of clocks
		t.Errorf("the session outlives the person's token: %v s", left)
	}
	for name, token := range pairs {
		if a := w.send(t, "GET", "secret/data/shared/ann/app", token, ""); a.status != 200 {
			t.Errorf("%s: got %d %v for what both may read", name, a.status, a.body)
		}
		if a := w.send(t, "GET", "secret/data/shared/bob/app", token, ""); a.status != 403 {
			t.Errorf("%s: got %d %v for what the person may not read", name, a.status, a.body)
		}
		a := w.send(t, "GET", "secret/data/shared/ann/app", token, "", behalf)
		if a.status != 403 || !strings.Contains(fmt.Sprint(a.body), "X-On-Behalf-Of: more than one") {
			t.Errorf("%s: got %d %v for a second person", name, a.status, a.body)
		}
	}
	if a := w.send(t, "GET", "secret/data/shared/bob/app", alone, ""); a.status != 200 {
		t.Errorf("the agent alone: got %d %v", a.status, a.body)
	}
	if a := w.send(t, "GET", "secret/data/shared/bob/app", alone, "", behalf); a.status != 403 {
		t.Errorf("a session of the agent's beside the person's token: got %d %v", a.status, a.body)
	}
}

// keyID is the id of the agent's key.
func (w *world) keyID(t *testing.T) string {
	t.Helper()
	d, _ := w.send(t, "GET", "auth/token/lookup-self", agentKey, "").body["data"].(map[string]any)
	id, _ := d["accessor"].(string)
	return id
}
