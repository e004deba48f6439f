package e2e_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// speakVault makes calls over Vault's own API, well and badly, and returns the token of a
// session, which is a secret as well.
func speakVault(t *testing.T, g *stack.Gateway, deliver, refuse func(method, path, body string)) string {
	t.Helper()
	const secret = "/v1/secret/data/mcp/agent_api/v"
	deliver("PUT", secret, `{"data":{"password":"`+canary+`"},"options":{"cas":0}}`)
	deliver("GET", secret, "")
	deliver("POST", "/v1/transit/encrypt/mcp", `{"plaintext":"`+canaryBase64+`"}`)
	refuse("PUT", secret, `{"data":{"a":"`+canary+`"},"options":{"cas":99}}`)
	refuse("PUT", secret, `{"data":{"a":"`+canary)
	refuse("PUT", secret, `{"`+canary+`":1}`)
	refuse("GET", secret+"?version="+canary, "")
	refuse("POST", "/v1/transit/decrypt/mcp", `{"ciphertext":"`+canary+`"}`)
	refuse("POST", "/v1/sys/wrapping/unwrap", `{"token":"`+canary+`"}`)
	refuse("POST", "/v1/sys/leases/revoke", `{"lease_id":"`+canary+`"}`)
	refuse("POST", "/v1/auth/approle/login", `{"role_id":"agent_api","secret_id":"`+canaryKey+`"}`)
	refuse("POST", "/v1/auth/jwt/login", `{"role":"x","jwt":"`+canaryKey+`"}`)
	refuse("POST", "/unwrap", `{"token":"`+canary+`"}`)
	refuse("POST", "/pki/revoke", `{"certificate":"`+canary+`","private_key":"`+canary+`"}`)
	refuse("POST", "/totp/verify/none", `{"code":"`+canary+`"}`)
	return session(t, g, secret)
}

// session begins a session, reads with it, and presents it as what it is not.
func session(t *testing.T, g *stack.Gateway, secret string) string {
	t.Helper()
	_, raw := e2e.Do(t, "POST", g.URL+"/v1/auth/approle/login", `{"role_id":"agent_api","secret_id":"`+e2e.Key+`"}`)
	var in struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(raw, &in); err != nil || in.Auth.Token == "" {
		t.Fatalf("the login: %v %s", err, raw)
	}
	for header, want := range map[string]int{"X-Vault-Token": 200} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, in.Auth.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("the session as %s: got %d, want %d", header, resp.StatusCode, want)
		}
	}
	return in.Auth.Token
}

// lookForSession looks for the token of a session in what the gateway has written.
func lookForSession(t *testing.T, g *stack.Gateway, token string) {
	t.Helper()
	if strings.Contains(g.Output(), token) {
		t.Error("stdout or stderr holds the token of a session")
	}
	err := filepath.WalkDir(g.LogDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), token) {
			t.Errorf("%s holds the token of a session", filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
