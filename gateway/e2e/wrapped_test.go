package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// noPlaintext is what a team says that trusts no agent with a secret.
const noPlaintext = `package policy.obligations.privacy

import rego.v2

# METADATA
# custom:
#   id: privacy.no_plaintext
obligation contains {"deliver": "wrapped", "wrap_ttl_s": 60} if input.principal.kind == "agent"
`

const noPlaintextTest = `package policy.obligations.privacy_test

import rego.v2

test_agents if {
	some duty in data.policy.obligations.privacy.obligation with input as {"principal": {"kind": "agent"}}
	duty.deliver == "wrapped"
}

test_people if {
	duties := data.policy.obligations.privacy.obligation with input as {"principal": {"kind": "human"}}
	duties == set()
}
`

// TestAgentsNeverGetPlaintext reads a secret in every way there is, with a policy
// that lets agents have wrapped answers only, and looks for the secret.
func TestAgentsNeverGetPlaintext(t *testing.T) {
	v := e2e.StartVault(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"privacy.rego": noPlaintext, "privacy_test.rego": noPlaintextTest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := e2e.StartGateway(t, v, "LOG_LEVEL=debug", "DECISION_LOG=logs/decisions.jsonl", "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID,
		"CHILD_TOKEN_ENABLED=true", "POLICY_DIR="+dir)
	if status, err := v.Send(t.Context(), http.MethodPut, "secret/data/mcp/agent_api/c", `{"data":{"password":"`+canary+`"}}`); err != nil || status >= 300 {
		t.Fatalf("write: %d, %v", status, err)
	}
	tool := func(meta string) string {
		_, raw := e2e.Do(t, "POST", g.URL+"/mcp/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"c"},"_meta":`+meta+`}}`)
		return string(raw)
	}
	for name, raw := range map[string]string{
		"REST":                 get(t, g.URL+"/secrets/c", ""),
		"REST, plain asked":    get(t, g.URL+"/secrets/c", "plain"),
		"REST, masked asked":   get(t, g.URL+"/secrets/c", "masked"),
		"tool":                 tool(`{}`),
		"tool, plain asked":    tool(`{"portcullis/deliver":"plain"}`),
		"tool, shorter asked":  tool(`{"portcullis/wrap_ttl":"30s"}`),
		"tool, longer refused": tool(`{"portcullis/wrap_ttl":"10m"}`),
	} {
		if strings.Contains(raw, canary) || !strings.Contains(raw, "wrap_info") {
			t.Errorf("%s: got %s, want a wrapped answer", name, raw)
		}
		if ttl := strings.Contains(raw, `"ttl":30`); ttl != (name == "tool, shorter asked") || strings.Contains(raw, `"ttl":600`) {
			t.Errorf("%s: got %s with another time to live", name, raw)
		}
	}
	unwrapOnce(t, v.Addr, get(t, g.URL+"/secrets/c", ""))
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	lookInto(t, g.LogDir, v.Token, 5)
}

// get reads with the development key and asks for a form, "" for none.
func get(t *testing.T, url, form string) string {
	t.Helper()
	return fetch(t, http.MethodGet, url, map[string]string{"X-API-Key": e2e.Key, "X-Portcullis-Deliver": form})
}

func fetch(t *testing.T, method, url string, headers map[string]string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// unwrapOnce opens a wrapped answer at Vault, and fails to do so again.
func unwrapOnce(t *testing.T, vault, answer string) {
	t.Helper()
	var w struct {
		WrapInfo struct {
			Token        string `json:"token"`
			CreationPath string `json:"creation_path"`
		} `json:"wrap_info"`
	}
	if err := json.Unmarshal([]byte(answer), &w); err != nil || w.WrapInfo.CreationPath != "secret/data/mcp/agent_api/c" {
		t.Fatalf("got %s, %v", answer, err)
	}
	for i, want := range []bool{true, false} {
		raw := fetch(t, http.MethodPost, vault+"/v1/sys/wrapping/unwrap", map[string]string{"X-Vault-Token": w.WrapInfo.Token})
		if strings.Contains(raw, canary) != want {
			t.Errorf("unwrap %d: the secret is there: %v, want %v", i+1, !want, want)
		}
	}
}
