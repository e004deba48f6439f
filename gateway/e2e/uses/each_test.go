package uses_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
	"portcullis/gateway/ops"
	"portcullis/gateway/ops/opstest"
)

// transports are the ways to the same operations. Each sends a call and returns
// the result, or the code of the refusal.
func transports() map[string]func(*testing.T, world, *op.Op, string) (map[string]any, string) {
	return map[string]func(*testing.T, world, *op.Op, string) (map[string]any, string){"rest": overREST, "mcp": overMCP}
}

// world is the whole stack, with a gateway in front.
type world struct {
	vault   *stack.Vault
	gateway *stack.Gateway
	key     string
}

// newWorld starts everything. The callers are agent_api, who is granted what
// the calls need, and stranger, who is granted nothing.
func newWorld(t *testing.T, env ...string) world {
	t.Helper()
	dsn := e2e.StartPostgres(t).DSN()
	v := e2e.StartVault(t, "--postgres", dsn)
	for _, r := range opstest.Static(dsn) {
		if status, err := v.Send(t.Context(), r[0], r[1], r[2]); err != nil || status >= 300 {
			t.Fatalf("%s: %d %v", r[1], status, err)
		}
	}
	for i, e := range env {
		env[i] = os.Expand(e, func(name string) string {
			return map[string]string{"ROLE_ID": v.RoleID, "SECRET_ID": v.SecretID}[name]
		})
	}
	g := e2e.StartGateway(t, v, append([]string{
		"RATE_LIMIT_ENABLED=false", "PKI_MOUNTS=pki", "TOTP_MOUNTS=totp", "CREDS_MOUNTS=brokers", "POLICY_DIR=" + policyDir(t),
		`API_KEYS_JSON={"dev-api-key":"agent_api","stranger-key":"stranger","twin-key":"twin"}`,
	}, env...)...)
	return world{v, g, e2e.Key}
}

func (w world) as(key string) world { w.key = key; return w }

func (w world) send(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.gateway.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", w.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
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
	return resp.StatusCode, raw
}

func decode(t *testing.T, raw []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return v
}

// overREST writes the call as a request of its route.
func overREST(t *testing.T, w world, o *op.Op, args string) (map[string]any, string) {
	t.Helper()
	values := decode(t, []byte(args))
	route := o.Path
	for _, name := range []string{"path", "prefix"} {
		if full, ok := strings.CutPrefix(fmt.Sprint(values[name]), "kv://"); ok {
			route, values[name] = strings.Replace(o.FullPath, "*path", "*"+name, 1), full
		}
	}
	path, param := openapi.Template(route)
	if param != "" {
		value := url.PathEscape(fmt.Sprint(values[param]))
		if strings.Contains(o.Path, "*") { // slashes are part of it
			value = strings.ReplaceAll(value, "%2F", "/")
		}
		path = strings.Replace(path, "{"+param+"}", value, 1)
		delete(values, param)
	}
	body := ""
	if o.Method == http.MethodGet || o.Method == http.MethodDelete {
		q := url.Values{}
		for name, v := range values {
			q.Set(name, fmt.Sprint(v))
		}
		if len(q) > 0 {
			path += "?" + q.Encode()
		}
	} else if raw, err := json.Marshal(values); err != nil {
		t.Fatal(err)
	} else if len(values) > 0 {
		body = string(raw)
	}
	status, raw := w.send(t, o.Method, path, body)
	if status == http.StatusNoContent {
		return map[string]any{"ok": true}, "" // it has no body
	}
	out := decode(t, raw)
	if status < http.StatusBadRequest {
		return out, ""
	}
	e, _ := out["error"].(map[string]any)
	return e, fmt.Sprint(e["code"])
}

// overMCP writes the call as a tool's.
func overMCP(t *testing.T, w world, o *op.Op, args string) (map[string]any, string) {
	t.Helper()
	_, raw := w.send(t, http.MethodPost, "/mcp/rpc", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, o.Name, args))
	out := decode(t, raw)
	if e, ok := out["error"].(map[string]any); ok {
		return e, fmt.Sprint(e["code"])
	}
	result, _ := out["result"].(map[string]any)
	content, _ := result["structuredContent"].(map[string]any)
	if result["isError"] != true {
		return content, ""
	}
	e, _ := content["error"].(map[string]any)
	return e, fmt.Sprint(e["code"])
}

func catalogue(t *testing.T) *op.Catalogue {
	t.Helper()
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "brokers"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decision is the id of a decision about the caller.
func decision(t *testing.T, w world) string {
	t.Helper()
	resp, _ := e2e.Do(t, http.MethodGet, w.gateway.URL+"/whoami", "")
	return resp.Header.Get("X-Decision-Id")
}

// Every operation works over every transport, with the same result.
func TestEach(t *testing.T) { each(t, newWorld(t)) }

// So it does when every caller has a Vault token of its own, with its own policy.
func TestEachWithChildTokens(t *testing.T) {
	each(t, newWorld(t, "VAULT_TOKEN=", "VAULT_ROLE_ID=${ROLE_ID}", "VAULT_SECRET_ID=${SECRET_ID}", "CHILD_TOKEN_ENABLED=true"))
}

func each(t *testing.T, w world) {
	t.Helper()
	c := catalogue(t)
	for name, send := range transports() {
		saved := map[string]string{"decision_id": decision(t, w)}
		for _, e := range opstest.Calls("each-" + name) {
			o := c.Get(e.Op)
			out, code := send(t, w, o, e.Arguments(saved))
			if code != "" {
				t.Fatalf("%s over %s: got %s %v", e.Op, name, code, out)
			}
			schema, err := o.Out.Resolve(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(out); err != nil {
				t.Errorf("%s over %s: the result does not follow its schema: %v", e.Op, name, err)
			}
			if !strings.Contains(fmt.Sprint(out), e.Want) {
				t.Errorf("%s over %s: got %v, want %s in it", e.Op, name, out, e.Want)
			}
			e.Keep(saved, out)
		}
	}
}
