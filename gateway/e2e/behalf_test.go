package e2e_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

const (
	behalfSecret = "signs-the-tokens-of-people-0123456789abcdef"
	behalfData   = `
version: 2
grants:
  subjects:
    agent_api: {kv: {"shared/both": {}, "shared/agents": {}}}
    alice: {kv: {"shared/both": {}, "shared/people": {}}}
    bob: {kv: {"shared/both": {}}}
`
	behalfRule = `package policy.deny.team

import rego.v2

# METADATA
# custom:
#   id: team.on_behalf_of_required
deny contains {"code": "team.on_behalf_of_required", "msg": "say for whom", "rule": "team.on_behalf_of_required"} if {
	input.resource.path == "shared/both/guarded"
	not for_a_person
}

for_a_person if {
	input.principal.on_behalf_of != null
	input.principal.on_behalf_of.kind == "human"
}
`
	behalfRuleTest = `package policy.deny.team_test

import rego.v2

guarded(who) := {"resource": {"path": "shared/both/guarded"}, "principal": {"on_behalf_of": who}}

test_nobody if count(data.policy.deny.team.deny) == 1 with input as guarded(null)

test_an_agent if count(data.policy.deny.team.deny) == 1 with input as guarded({"kind": "agent"})

test_a_person if count(data.policy.deny.team.deny) == 0 with input as guarded({"kind": "human"})
`
)

// people signs tokens of people.
type people struct{ key authtest.Key }

func (p people) token(subject string, more map[string]any) string {
	claims := map[string]any{"kind": "human"}
	for name, v := range more {
		claims[name] = v
	}
	return p.key.Sign(authtest.Claims(subject, claims))
}

// onBehalf is a gateway whose callers may say on whose behalf they call.
func onBehalf(t *testing.T) (*stack.Gateway, people) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"data.yaml": behalfData, "team.rego": behalfRule, "team_test.rego": behalfRuleTest,
		"deny": `{"token_id":"revoked"}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "LOG_LEVEL=debug", "LOG_REQUESTS=all", "DECISION_LOG=logs/decisions.jsonl", "RATE_LIMIT_ENABLED=false", "VAULT_TOKEN="+v.Token, "POLICY_DIR="+dir,
		"POLICY_TIMEOUT=5s", "JWT_HS256_SECRET="+behalfSecret, "JWT_KIND_CLAIM=kind", "DENY_LIST_FILE="+filepath.Join(dir, "deny"))
	key := authtest.NewKey("HS256", "")
	key.Private = []byte(behalfSecret)
	return g, people{key}
}

// exchange sends a request and returns status, headers and body. A header without a value is
// not sent.
func exchange(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", e2e.Key)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, there := strings.Cut(h, ": ")
		if !there {
			req.Header.Del(name)
			continue
		}
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(raw)
}

// TestOnBehalfOf: with a second credential a call is done when both may, over every
// transport; a bad one is refused, and neither is anywhere in what the gateway writes.
func TestOnBehalfOf(t *testing.T) {
	g, p := onBehalf(t)
	alice := p.token("alice", map[string]any{"scope": "read list write"})
	with := func(token string) string { return "X-On-Behalf-Of: Bearer " + token }
	for _, path := range []string{"both/x", "both/guarded", "agents/x"} {
		headers := []string{}
		if path == "both/guarded" {
			headers = append(headers, with(alice))
		}
		if status, _, body := exchange(t, "PUT", g.URL+"/kv/secret/shared/"+path, `{"data":{"a":"b"}}`, headers...); status >= 300 {
			t.Fatalf("%s: got %d %s", path, status, body)
		}
	}
	t.Run("rest", func(t *testing.T) { behalfOverREST(t, g, p, alice) })
	t.Run("mcp", func(t *testing.T) { behalfOverMCP(t, g, alice) })
	t.Run("vault api", func(t *testing.T) { behalfOverVaultAPI(t, g, alice) })
	t.Run("two persons", func(t *testing.T) {
		twoPersons(t, g, with(alice), with(p.token("bob", map[string]any{"scope": "read list write"})))
	})
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	lookForTokens(t, g, alice)
	lines := e2e.CallLines(t, g.AuditFile())
	if !slices.ContainsFunc(lines, func(l map[string]any) bool {
		return l["on_behalf_of"] == "alice" && l["subject"] == "agent_api" && l["on_behalf_of_issuer"] == "mcp-auth"
	}) {
		t.Error("the evidence does not say on whose behalf a call was made")
	}
}

func behalfOverREST(t *testing.T, g *stack.Gateway, p people, alice string) {
	read := func(path string, headers ...string) (int, http.Header, string) {
		return exchange(t, "GET", g.URL+"/kv/secret/shared/"+path, "", headers...)
	}
	bound := p.token("alice", map[string]any{"cnf": map[string]any{"jkt": "x"}})
	for name, tc := range map[string]struct {
		path   string
		header []string
		status int
		says   string
	}{
		"alone":               {"agents/x", nil, 200, ""},
		"both may":            {"both/x", []string{"Bearer " + alice}, 200, ""},
		"the agent alone may": {"agents/x", []string{"Bearer " + alice}, 403, "forbidden"},
		"a person is wanted":  {"both/guarded", nil, 403, "on_behalf_of_required"},
		"and there":           {"both/guarded", []string{"Bearer " + alice}, 200, ""},
		"an agent is none":    {"both/guarded", []string{"Bearer " + p.token("alice", map[string]any{"kind": "agent"})}, 403, "forbidden"},
		"without the scope":   {"both/x", []string{"Bearer " + p.token("alice", map[string]any{"scope": "list"})}, 403, "forbidden"},
		"ended":               {"both/x", []string{"Bearer " + p.token("alice", map[string]any{"exp": 1000})}, 401, "X-On-Behalf-Of"},
		"revoked":             {"both/x", []string{"Bearer " + p.token("alice", map[string]any{"jti": "revoked"})}, 401, "X-On-Behalf-Of"},
		"another issuer":      {"both/x", []string{"Bearer " + p.token("alice", map[string]any{"iss": "other"})}, 401, "X-On-Behalf-Of"},
		"bound to a key":      {"both/x", []string{"Bearer " + bound}, 401, "X-On-Behalf-Of"},
		"somebody acts":       {"both/x", []string{"Bearer " + p.token("alice", map[string]any{"act": map[string]any{"sub": "x"}})}, 401, "X-On-Behalf-Of"},
		"of its own":          {"both/x", []string{"Bearer " + p.token("agent_api", nil)}, 401, "X-On-Behalf-Of"},
		"an API key":          {"both/x", []string{"Bearer " + e2e.Key}, 401, "X-On-Behalf-Of"},
		"no scheme":           {"both/x", []string{alice}, 401, "X-On-Behalf-Of"},
		"empty":               {"both/x", []string{""}, 401, "X-On-Behalf-Of"},
		"two":                 {"both/x", []string{"Bearer " + alice, "Bearer " + alice}, 401, "X-On-Behalf-Of"},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			for _, h := range tc.header {
				headers = append(headers, "X-On-Behalf-Of: "+h)
			}
			status, header, body := read(tc.path, headers...)
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("got %d %s", status, body)
			}
			if tc.says == "on_behalf_of_required" && !strings.Contains(header.Get("WWW-Authenticate"), "on_behalf_of_required") {
				t.Errorf("the challenge: got %q", header.Get("WWW-Authenticate"))
			}
		})
	}
}

func behalfOverMCP(t *testing.T, g *stack.Gateway, alice string) {
	call := func(path, meta string, headers ...string) string {
		_, _, body := exchange(t, "POST", g.URL+"/mcp/rpc", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"kv://secret/shared/%s"},"_meta":{%s}}}`, path, meta), headers...)
		return body
	}
	who := `"portcullis/on-behalf-of":"Bearer ` + alice + `"`
	modern := `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},`
	for name, tc := range map[string]struct {
		body string
		want string
	}{
		"both may":            {call("both/guarded", who), `"a":"b"`},
		"both may, modern":    {call("both/guarded", modern+who, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: kv_read"), `"a":"b"`},
		"both may, by header": {call("both/guarded", "", "X-On-Behalf-Of: Bearer "+alice), `"a":"b"`},
		"the agent alone may": {call("agents/x", who), "forbidden"},
		"a person is wanted":  {call("both/guarded", ""), "portcullis/on-behalf-of"},
		"a bad one":           {call("both/x", `"portcullis/on-behalf-of":"Bearer x.y.z"`), "X-On-Behalf-Of"},
		"no text":             {call("both/x", `"portcullis/on-behalf-of":{"a":1}`), "portcullis/on-behalf-of"},
		"in both places":      {call("both/x", who, "X-On-Behalf-Of: Bearer "+alice), "more than one"},
		"ended, modern":       {call("both/x", modern+`"portcullis/on-behalf-of":"Bearer x"`, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: kv_read"), "X-On-Behalf-Of"},
	} {
		if !strings.Contains(tc.body, tc.want) || tc.want != `"a":"b"` && strings.Contains(tc.body, `"a":"b"`) {
			t.Errorf("%s: got %s, want %s", name, tc.body, tc.want)
		}
	}
	hello := open(t, "POST", g.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, "Accept: application/json, text/event-stream")
	session := "Mcp-Session-Id: " + hello.Header.Get("Mcp-Session-Id")
	for meta, want := range map[string]string{who: `"a":"b"`, "": "on_behalf_of_required"} {
		_, _, body := exchange(t, "POST", g.URL+"/mcp", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"kv://secret/shared/both/guarded"},"_meta":{`+meta+`}}}`, session, "Accept: application/json, text/event-stream")
		if !strings.Contains(body, want) {
			t.Errorf("in a session: got %s, want %s", body, want)
		}
	}
}

func behalfOverVaultAPI(t *testing.T, g *stack.Gateway, alice string) {
	with := "X-On-Behalf-Of: Bearer " + alice
	for name, tc := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"both may": {"both/guarded", []string{with}, 200}, "the agent alone may": {"agents/x", []string{with}, 403},
		"a person is wanted": {"both/guarded", nil, 403}, "a bad one": {"both/x", []string{with + "x"}, 403},
	} {
		if status, _, body := exchange(t, "GET", g.URL+"/v1/secret/data/shared/"+tc.path, "", tc.headers...); status != tc.status {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
	_, _, body := exchange(t, "POST", g.URL+"/v1/auth/approle/login", `{"role_id":"agent_api","secret_id":"`+e2e.Key+`"}`, with)
	_, rest, _ := strings.Cut(body, `"client_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	for name, tc := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"a session of both": {"both/guarded", nil, 200}, "which is one of both": {"agents/x", nil, 403}, "and of nobody else": {"both/x", []string{with}, 403},
	} {
		headers := append([]string{"X-Vault-Token: " + token, "X-API-Key"}, tc.headers...)
		if status, _, body := exchange(t, "GET", g.URL+"/v1/secret/data/shared/"+tc.path, "", headers...); status != tc.status {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
}

// twoPersons: what one agent is given on behalf of one person is nothing to another whom
// it serves, nor to itself alone.
func twoPersons(t *testing.T, g *stack.Gateway, alice, bob string) {
	_, header, body := exchange(t, "GET", g.URL+"/v1/secret/data/shared/both/x", "", alice, "X-Vault-Wrap-TTL: 60")
	_, rest, _ := strings.Cut(body, `"token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if token == "" {
		t.Fatalf("nothing was wrapped: %s", body)
	}
	for _, tc := range []struct {
		name    string
		headers []string
		own     bool
	}{{"bob", []string{bob}, false}, {"the agent", nil, false}, {"alice", []string{alice}, true}} {
		if status, _, body := exchange(t, "GET", g.URL+"/decisions/"+header.Get("X-Decision-Id"), "", tc.headers...); (status == 200) != tc.own {
			t.Errorf("%s asks about a decision of alice's: got %d %s", tc.name, status, body)
		}
		if _, _, body := exchange(t, "PUT", g.URL+"/v1/sys/wrapping/unwrap", `{"token":"`+token+`"}`, tc.headers...); strings.Contains(body, `"a":"b"`) != tc.own {
			t.Errorf("%s opens what was wrapped for alice: got %s", tc.name, body)
		}
	}
}

// lookForTokens looks for a token in what the gateway has written.
func lookForTokens(t *testing.T, g *stack.Gateway, token string) {
	t.Helper()
	signature := token[strings.LastIndex(token, ".")+1:]
	if strings.Contains(g.Output(), signature) {
		t.Error("stdout or stderr holds the second credential")
	}
	seen := 0
	err := filepath.WalkDir(g.LogDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if seen += len(raw); strings.Contains(string(raw), signature) {
			t.Errorf("%s holds the second credential", filepath.Base(path))
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("read %d bytes: %v", seen, err)
	}
}
