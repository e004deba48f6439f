package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/vault/vaulttest"
)

// logged returns a log of a gateway as it is now.
func logged(t *testing.T, g *stack.Gateway, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.LogDir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(raw)
}

// TestServerLogTellsTheStory: start with what runs, a token role that is missing, Vault
// away and back, the end. Each is said once.
func TestServerLogTellsTheStory(t *testing.T) {
	v := e2e.StartVault(t)
	p := vaulttest.StartProxy(t, v.Addr)
	g := e2e.StartGateway(t, v, "VAULT_ADDR="+p.Addr, "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID,
		"CHILD_TOKEN_ENABLED=true", "CHILD_TOKEN_ROLE=no-such-role", "VAULT_TIMEOUT=2s")
	says := func(want ...string) {
		t.Helper()
		e2e.Eventually(t, strings.Join(want, " and "), func() bool {
			text := logged(t, g, "server.log")
			for _, w := range want {
				if !strings.Contains(text, w) {
					return false
				}
			}
			return true
		})
	}
	says(`"msg":"the gateway has started"`, `"listening":"`+g.URL+`"`, `"authentication":"API keys"`, `"revision":"`, `"vault":"`+p.Addr+`"`, `"version":"`)
	e2e.Do(t, "GET", g.URL+"/secrets/x", "")
	e2e.Do(t, "GET", g.URL+"/secrets/y", "")
	says(`"msg":"Vault makes no tokens for callers`, `"token_role":"no-such-role"`)
	p.Break(vaulttest.Fault{Refuse: true})
	p.CutAll()
	for range 10 {
		e2e.Do(t, "GET", g.URL+"/secrets/x", "")
	}
	says(`"msg":"Vault is away: `)
	p.Heal()
	e2e.Eventually(t, "Vault is back", func() bool {
		e2e.Do(t, "GET", g.URL+"/secrets/x", "")
		return strings.Contains(logged(t, g, "server.log"), `"msg":"Vault is back"`)
	})
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	says(`"msg":"the gateway was told to stop`, `"msg":"the gateway has stopped"`)
	text := logged(t, g, "server.log")
	for _, once := range []string{"has started", "makes no tokens", "Vault is away", "Vault is back"} {
		if n := strings.Count(text, once); n != 1 {
			t.Errorf("%q is said %d times:\n%s", once, n, text)
		}
	}
	if strings.Contains(text, "[redacted]") {
		t.Errorf("a sentence of ours has lost a word:\n%s", text)
	}
}

// TestOneRecordACallOverHTTP: a call leaves one record; a request without a call leaves
// one as well. With LOG_REQUESTS=all each request has one beside its call's.
func TestOneRecordACallOverHTTP(t *testing.T) {
	v := e2e.StartVault(t)
	for setting, requests := range map[string]int{"other": 1, "all": 4} {
		g := e2e.StartGateway(t, v, "LOG_REQUESTS="+setting)
		e2e.Do(t, "PUT", g.URL+"/secrets/x", `{"data":{"a":"b"}}`)
		e2e.Do(t, "GET", g.URL+"/secrets/x", "")
		e2e.Do(t, "POST", g.URL+"/mcp/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv.read","arguments":{"path":"x"}}}`)
		e2e.Do(t, "GET", g.URL+"/livez", "")
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(logged(t, g, "responses.log"), `"msg":"call"`); n != 3 {
			t.Errorf("%s: got %d records of calls, want 3", setting, n)
		}
		if text := logged(t, g, "requests.log"); strings.Count(text, `"msg":"request"`) != requests {
			t.Errorf("%s: want %d records of requests:\n%s", setting, requests, text)
		}
	}
}
