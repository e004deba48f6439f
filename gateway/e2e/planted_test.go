package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// plantMany uses the gateway's AppRole past it in many ways: with the token of a login
// and with one that was made with it, for each kind of request, without a correlation id,
// with one that was made up, and with that of a call. Each use is found, once.
func plantMany(t *testing.T, g *stack.Gateway, v *stack.Vault, uses int) {
	t.Helper()
	type answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	known := ""
	for _, l := range e2e.CallLines(t, g.AuditFile()) {
		if l["op"] == "kv.read" && l["code"] == "ok" {
			known, _ = l["correlation_id"].(string)
		}
	}
	before := runReconcile(t, g.AuditFile(), v.AuditFile)
	var login, child answer
	asVault(t, v, "", "POST", "auth/approle/login", fmt.Sprintf(`{"role_id":%q,"secret_id":%q}`, v.RoleID, v.SecretID), "", &login)
	asVault(t, v, login.Auth.Token, "POST", "auth/token/create/mcp-gateway", `{"policies":["mcp-agent-agent_api+kv"],"type":"batch"}`, "", &child)
	want := map[string]bool{}
	for n := 2; n < uses; n++ {
		path := fmt.Sprintf("secret/data/mcp/agent_api/planted%d", n)
		method, body, query := "GET", "", ""
		switch n % 4 {
		case 1:
			method, body = "PUT", `{"data":{"k":"v"}}`
		case 2:
			method, path = "LIST", strings.Replace(path, "/data/", "/metadata/", 1)
		case 3:
			method, path, body = "POST", fmt.Sprintf("transit/encrypt/planted%d", n), `{"plaintext":"YQ=="}`
		}
		if n == 4 { // whose line in Vault's log is longer than a megabyte
			query = "?" + manyParameters(20_000)
		}
		token := []string{login.Auth.Token, child.Auth.Token}[n/4%2]
		asVault(t, v, token, method, path+query, body, []string{"", fmt.Sprintf("upkeep-made-up-%d", n), known}[n%3], nil)
		want[path] = true
	}
	r := runReconcile(t, g.AuditFile(), v.AuditFile)
	for _, d := range r.UnknownToUs {
		delete(want, strings.TrimSuffix(d.Path, "/"))
	}
	if found := len(r.UnknownToUs) - len(before.UnknownToUs); found != uses || len(want) > 0 || len(r.Unreadable) > 0 {
		t.Errorf("%d of %d uses were found, without %v; unreadable %v", found, uses, want, r.Unreadable)
	}
	t.Logf("%d of %d planted uses found", len(r.UnknownToUs)-len(before.UnknownToUs), uses)
}

// manyParameters is the query of a URL: Vault records each parameter with an HMAC.
func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "p%d=x&", i)
	}
	return b.String()
}
