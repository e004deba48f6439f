package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault/vaulttest"
)

// TestVaultSignsTheEvidence: a key that never leaves Vault signs checkpoints, over its
// rotation, and no caller signs with it. While Vault is sealed lines are written, and
// /readyz and the metrics say that they are not signed. What the gateway leaves is signed up
// to its own leaving, and verifies with what Vault says of the key.
func TestVaultSignsTheEvidence(t *testing.T) {
	v, dir := vaulttest.Start(t), t.TempDir()
	file := filepath.Join(dir, "audit.jsonl")
	t.Run("gateway", func(t *testing.T) {
		url := serve(t, configured(t, v, dir, map[string]string{
			"VAULT_TOKEN": "", "VAULT_ROLE_ID": v.RoleID, "VAULT_SECRET_ID": v.SecretID, "AUDIT_SIGN_TRANSIT_KEY": "transit/signing",
		}))
		says := func(path, want string) func() bool {
			return func() bool { return strings.Contains(answer(t, "GET", url+path), want) }
		}
		e2e.Eventually(t, "a gateway that is ready", says("/readyz", `"audit":{"ok":true,"detail":"ready"}`))
		if resp, raw := e2e.Do(t, "POST", url+"/transit/sign", `{"key":"signing","input":"YQ=="}`); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a caller signs with the key: %d %s", resp.StatusCode, raw)
		}
		if err := v.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		answer(t, "GET", url+"/secrets/sealed")
		e2e.Eventually(t, "a signer that is away in /readyz", says("/readyz", "no checkpoint could be signed since "))
		if got := answer(t, "GET", url+"/metrics"); strings.Contains(got, "portcullis_audit_checkpoint_failures_total 0") {
			t.Error("the failure is not counted")
		}
		if err := v.Unseal(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		v.Write("transit/keys/signing/rotate", map[string]any{})
		e2e.Eventually(t, "a signer that is back in /readyz", says("/readyz", `"audit":{"ok":true,"detail":"ready"}`))
		answer(t, "GET", url+"/secrets/last")
	})
	keys := transitKey(t, v)
	raw, err := os.ReadFile(filepath.Join(dir, "audit.checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := tree.OpenCheckpoint(raw, keys)
	if err != nil {
		t.Fatal(err)
	}
	lines := e2e.Lines(t, file)
	for _, l := range lines[checkpoint.Seq:] {
		if l["type"] != "upkeep" || !strings.Contains(l["path"].(string), "/signing") && l["path"] != "auth/token/revoke-self" {
			t.Errorf("not signed: %v", l)
		}
	}
	if last := lines[len(lines)-1]; last["path"] != "auth/token/revoke-self" || last["code"] != "ok" {
		t.Errorf("the gateway has not left Vault: %v", last)
	}
	if err := (inspect.Verify{Files: []string{file}, Out: t.Output()}).Run(); err != nil {
		t.Error(err)
	}
}

// transitKey is the key as `vault read -format=json` prints it.
func transitKey(t *testing.T, v *vaulttest.Vault) note.Verifiers {
	t.Helper()
	var raw json.RawMessage
	v.Do(vaulttest.Request{Path: "transit/keys/signing"}, &raw)
	keys, err := tree.Public(raw)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
