package e2e_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestKeysOfOneSubject uses two keys of one subject, of which one has a role, in turns:
// each may what its data say, in the gateway and in Vault, before and after a key is
// taken away.
func TestKeysOfOneSubject(t *testing.T) {
	const signer, plain = "key-of-the-signer-0123456789abcdef", "key-without-a-role-0123456789abcdef"
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	entry := func(id, key, more string) string {
		return fmt.Sprintf("  - {id: %s, hash: \"sha256:%x\", subject: ci, scopes: [read, write]%s}\n", id, sha256.Sum256([]byte(key)), more)
	}
	keys := write("keys.yaml", "keys:\n"+entry("signer", signer, ", roles: [signer]")+entry("plain", plain, ""))
	data := write("data.yaml", "grants:\n  roles: {signer: {transit: {signing: {}}}}\n  subjects: {ci: {transit: {mcp: {}}}}\n")
	policies := filepath.Join(dir, "policy")
	if err := errors.Join(os.Mkdir(policies, 0o700), os.Rename(data, filepath.Join(policies, "data.yaml"))); err != nil {
		t.Fatal(err)
	}
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID, "CHILD_TOKEN_ENABLED=true",
		"API_KEYS_JSON=", "API_KEYS_FILE="+keys, "POLICY_DIR="+policies, "RATE_LIMIT_ENABLED=false", "POLICY_TIMEOUT=10s")
	want := func(key, op, body string, status int) {
		t.Helper()
		if got := transit(t, g, key, op, body); got != status {
			t.Errorf("%s with %s: %d, want %d", op, key, got, status)
		}
	}
	const encrypt, sign = `{"key":"mcp","plaintext":"aGk="}`, `{"key":"signing","input":"aGk="}`
	for range 3 {
		want(signer, "sign", sign, http.StatusOK)
		want(plain, "encrypt", encrypt, http.StatusOK)
		want(plain, "sign", sign, http.StatusForbidden)
		want(signer, "encrypt", encrypt, http.StatusOK)
	}
	agents := func() []string {
		return slices.DeleteFunc(vaultList(t, v, "sys/policies/acl"), func(n string) bool { return !strings.HasPrefix(n, "mcp-agent-") })
	}
	if got := agents(); len(got) != 2 || got[0] != "mcp-agent-ci+transit" || !strings.HasPrefix(got[1], "mcp-agent-ci+transit+") {
		t.Errorf("policies in Vault: %q", got)
	}
	write("keys.yaml", "keys:\n"+entry("plain", plain, ""))
	e2e.Eventually(t, "the policy of the key that is gone to go", func() bool { return len(agents()) == 1 })
	want(signer, "encrypt", encrypt, http.StatusUnauthorized)
	want(plain, "encrypt", encrypt, http.StatusOK)
}

// transit makes a call with a key and returns its status.
func transit(t *testing.T, g *stack.Gateway, key, op, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/transit/"+op, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
