package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

var reconciledCalls = flag.Int("reconciled-calls", 210, "calls in TestEvidenceAgreesWithVaultsOwn")

// reconciled is what `audit reconcile --json` prints.
type reconciled struct {
	Records        int          `json:"records"`
	Requests       int          `json:"vault_requests"`
	Matched        int          `json:"matched"`
	Open           int          `json:"open"`
	UnknownToUs    []difference `json:"unknown_to_us"`
	UnknownToVault []difference `json:"unknown_to_vault"`
	OutcomeDiffers []difference `json:"outcome_differs"`
	Unreadable     []difference `json:"unreadable"`
}

type difference struct {
	CorrelationID string `json:"correlation_id"`
	Path          string `json:"path"`
	Op            string `json:"op"`
	Why           string `json:"why"`
}

// runReconcile runs the command, which ends with 1 when and only when something differs.
func runReconcile(t *testing.T, evidence, vaultAudit string) (r reconciled) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), "audit", "reconcile", evidence, "--vault-audit", vaultAudit, "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // the exit code is looked at below
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s %s", err, out, &stderr)
	}
	if r.Requests > 10_000 {
		t.Logf("%d records beside %d requests in Vault's log took %s of CPU", r.Records, r.Requests, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	want := 0
	if len(r.UnknownToUs)+len(r.UnknownToVault)+len(r.OutcomeDiffers)+len(r.Unreadable) > 0 {
		want = 1
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code %d, want %d: %s", got, want, &stderr)
	}
	return r
}

// withAppRole is the environment of a gateway that logs in, and whose callers have
// tokens of their own.
func withAppRole(v *stack.Vault, more ...string) []string {
	return append([]string{
		"VAULT_TOKEN=", "VAULT_ROLE_ID=" + v.RoleID, "VAULT_SECRET_ID=" + v.SecretID, "CHILD_TOKEN_ENABLED=true",
		"RATE_LIMIT_ENABLED=false", `API_KEYS_JSON={"dev-api-key":"agent_api","other-api-key":"other"}`,
	}, more...)
}

// everyKind is one call of every kind, so that each way to Vault is used.
func everyKind(t *testing.T, g *stack.Gateway, v *stack.Vault, n int) {
	t.Helper()
	name := fmt.Sprintf("app%d", n%7)
	tool := func(op, args string) {
		e2e.Do(t, "POST", g.URL+"/mcp/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+op+`","arguments":`+args+`}}`)
	}
	switch n % 14 {
	case 0:
		e2e.Do(t, "PUT", g.URL+"/secrets/"+name, `{"data":{"k":"v"}}`)
	case 1, 2:
		e2e.Do(t, "GET", g.URL+"/secrets/"+name, "")
	case 3:
		tool("kv.read", `{"path":"`+name+`"}`)
	case 4:
		tool("kv.read_many", `{"paths":["app0","app1","none","app3"]}`)
	case 5:
		e2e.Do(t, "POST", g.URL+"/transit/encrypt", `{"key":"mcp","items":[{"plaintext":"YQ=="},{"plaintext":"Yg=="},{"plaintext":"not base64"}]}`)
	case 6:
		unwrapAs(t, g, v, name)
	case 7:
		e2e.Do(t, "PUT", g.URL+"/secrets/"+name, `{"data":{"k":"v"},"cas":9999}`)
	case 8:
		e2e.Do(t, "GET", g.URL+"/secrets/none", "")
		e2e.Do(t, "GET", g.URL+"/kv/secret/mcp/somebody-else/app", "")
	case 9:
		e2e.Do(t, "POST", g.URL+"/ssh/otp", `{"role":"otp","ip":"127.0.0.1"}`)
	case 10:
		e2e.Do(t, "POST", g.URL+"/transit/encrypt", `{"key":"no-such-key","plaintext":"YQ=="}`)
	case 11:
		e2e.Do(t, "GET", g.URL+"/secrets/", "")
		e2e.Do(t, "GET", g.URL+"/secrets/"+name+":metadata", "")
	case 12:
		e2e.Do(t, "PATCH", g.URL+"/secrets/"+name, `{"data":{"more":"v"}}`)
	case 13:
		e2e.Do(t, "DELETE", g.URL+"/secrets/app6", "")
		e2e.Do(t, "GET", g.URL+"/secrets/app6", "")
	}
}

// unwrapAs reads a secret wrapped and opens it as its receiver does, past the gateway.
func unwrapAs(t *testing.T, g *stack.Gateway, v *stack.Vault, name string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/secrets/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", e2e.Key)
	req.Header.Set("X-Portcullis-Deliver", "wrapped")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var w struct {
		WrapInfo struct {
			Token string `json:"token"`
		} `json:"wrap_info"`
	}
	if json.NewDecoder(resp.Body).Decode(&w) == nil && w.WrapInfo.Token != "" {
		asVault(t, v, w.WrapInfo.Token, "POST", "sys/wrapping/unwrap", "{}", "", nil)
	}
}

// asVault sends a request to Vault past the gateway.
func asVault(t *testing.T, v *stack.Vault, token, method, path, body, correlation string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.Addr+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if correlation != "" {
		req.Header.Set("X-Correlation-Id", correlation)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEvidenceAgreesWithVaultsOwn makes calls of every kind over REST and MCP, with
// logins, tokens, policies, leases and looks for changes, and compares both logs. Then
// it does what the gateway has not done, and each deed is found.
func TestEvidenceAgreesWithVaultsOwn(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, withAppRole(v, "CHILD_TOKEN_TTL=10s")...)
	ears := openEars(t, g)
	var wg sync.WaitGroup
	const callers = 8
	for c := range callers {
		wg.Go(func() {
			for n := c; n < *reconciledCalls; n += callers {
				everyKind(t, g, v, n)
			}
		})
	}
	wg.Wait()
	e2e.Do(t, "PUT", g.URL+"/secrets/"+lastChange, `{"data":{"k":"v"}}`)
	for _, e := range ears {
		<-e.told
	}
	asVault(t, v, v.Token, "GET", "secret/data/mcp/agent_api/app1", "", "", nil) // an administrator's, which is not compared
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	r := runReconcile(t, g.AuditFile(), v.AuditFile)
	if len(r.UnknownToUs)+len(r.UnknownToVault)+len(r.OutcomeDiffers)+len(r.Unreadable)+r.Open > 0 || r.Matched < *reconciledCalls {
		t.Fatalf("%d agree, %d open\nunknown to us %v\nunknown to Vault %v\ndiffer %v", r.Matched, r.Open, r.UnknownToUs, r.UnknownToVault, r.OutcomeDiffers)
	}
	t.Logf("%d records, %d requests to Vault, %d agree", r.Records, r.Requests, r.Matched)
	tokensAreForOneEngine(t, v)
	plantUses(t, g, v)
	plantMany(t, g, v, 100)
	plantLoss(t, g, v)
}

// tokensAreForOneEngine looks in Vault's own log whether the token of each request has the
// policies of the engine that the request is for, and no others.
func tokensAreForOneEngine(t *testing.T, v *stack.Vault) {
	t.Helper()
	raw, err := os.ReadFile(v.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	engines := map[string]string{"secret": "kv", "transit": "transit", "database": "db", "ssh": "ssh", "pki": "pki", "totp": "totp"}
	seen := map[string]int{}
	for line := range bytes.Lines(raw) {
		var l struct {
			Auth struct {
				Name     string   `json:"display_name"`
				Policies []string `json:"policies"`
			} `json:"auth"`
			Request struct {
				Path string `json:"path"`
			} `json:"request"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		mount, _, _ := strings.Cut(l.Request.Path, "/")
		if !strings.HasPrefix(l.Auth.Name, "token-portcullis-") {
			continue
		}
		seen[mount]++
		for _, p := range l.Auth.Policies {
			if parts := strings.Split(p, "+"); len(parts) < 2 || parts[1] != engines[mount] {
				t.Errorf("a request to %s has a token with the policy %s", l.Request.Path, p)
			}
		}
	}
	if seen["secret"] == 0 || seen["transit"] == 0 {
		t.Errorf("requests of callers in Vault's log: %v", seen)
	}
}

// plantUses uses the gateway's AppRole past it.
func plantUses(t *testing.T, g *stack.Gateway, v *stack.Vault) {
	t.Helper()
	known := ""
	for _, l := range e2e.CallLines(t, g.AuditFile()) {
		if l["op"] == "kv.read" && l["code"] == "ok" {
			known, _ = l["correlation_id"].(string)
		}
	}
	type answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	var login, child answer
	asVault(t, v, "", "POST", "auth/approle/login", fmt.Sprintf(`{"role_id":%q,"secret_id":%q}`, v.RoleID, v.SecretID), "", &login)
	asVault(t, v, login.Auth.Token, "GET", "secret/data/mcp/agent_api/app1", "", "", nil)
	asVault(t, v, login.Auth.Token, "GET", "secret/data/mcp/agent_api/app2", "", "upkeep-made-up", nil)
	asVault(t, v, login.Auth.Token, "GET", "secret/data/mcp/agent_api/app3", "", known, nil) // with the id of a call
	asVault(t, v, login.Auth.Token, "POST", "auth/token/create/mcp-gateway", `{"policies":["mcp-agent-agent_api+kv"],"type":"batch"}`, "", &child)
	asVault(t, v, child.Auth.Token, "GET", "secret/data/mcp/agent_api/app4", "", "", nil)
	r := runReconcile(t, g.AuditFile(), v.AuditFile)
	found := map[string]int{}
	for _, d := range r.UnknownToUs {
		found[d.Path]++
	}
	for _, path := range []string{
		"auth/approle/login", "secret/data/mcp/agent_api/app1", "secret/data/mcp/agent_api/app2", "secret/data/mcp/agent_api/app3",
		"auth/token/create/mcp-gateway", "secret/data/mcp/agent_api/app4",
	} {
		if found[path] != 1 {
			t.Errorf("%s: found %d times, want once: %v", path, found[path], r.UnknownToUs)
		}
	}
	if len(r.UnknownToUs) != 6 || len(r.UnknownToVault) != 0 {
		t.Errorf("got %v and %v", r.UnknownToUs, r.UnknownToVault)
	}
}

// plantLoss takes a call out of one log and out of the other, and changes what came of
// a third one.
func plantLoss(t *testing.T, g *stack.Gateway, v *stack.Vault) {
	t.Helper()
	ids := map[string]string{} // by code, the id of one call
	for _, l := range e2e.CallLines(t, g.AuditFile()) {
		if l["type"] == "outcome" && l["op"] == "kv.read" || l["code"] == "cas_mismatch" {
			ids[l["code"].(string)], _ = l["correlation_id"].(string)
		}
	}
	before := runReconcile(t, g.AuditFile(), v.AuditFile)
	lost := edited(t, v.AuditFile, func(l string) string {
		if strings.Contains(l, ids["not_found"]) {
			return ""
		}
		return l
	})
	if r := runReconcile(t, g.AuditFile(), lost); len(r.UnknownToVault) != 1 || r.UnknownToVault[0].CorrelationID != ids["not_found"] {
		t.Errorf("without a call in Vault's log: got %v", r.UnknownToVault)
	}
	forgotten := edited(t, g.AuditFile(), func(l string) string {
		if strings.Contains(l, ids["not_found"]) {
			return ""
		}
		return l
	})
	if r := runReconcile(t, forgotten, v.AuditFile); len(r.UnknownToUs) != len(before.UnknownToUs)+1 {
		t.Errorf("without a call in the evidence: got %v", r.UnknownToUs)
	}
	changed := edited(t, g.AuditFile(), func(l string) string {
		if strings.Contains(l, ids["cas_mismatch"]) {
			l = strings.ReplaceAll(strings.ReplaceAll(l, `"code":"cas_mismatch"`, `"code":"ok"`), `,"vault_errors":1`, "")
		}
		return l
	})
	r := runReconcile(t, changed, v.AuditFile)
	if len(r.OutcomeDiffers) != len(before.OutcomeDiffers)+1 {
		t.Errorf("with another outcome: got %v", r.OutcomeDiffers)
	}
}

// edited is a copy of a file, line by line; an empty line is left out.
func edited(t *testing.T, file string, edit func(string) string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		out.WriteString(edit(line))
	}
	name := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(name, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
