package clients_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"portcullis/gateway/e2e"
)

const policy = `
version: 2
grants:
  subjects:
    agent_api:
      transit: {mcp: {}, signing: {}}
      ssh: {otp: {}, ca: {}}
      pki: {web: {}}
      totp: {login: {}}
`

// side is a server that a client talks to.
type side struct{ name, addr, token, own string }

// both starts a real Vault and a gateway in front of it. Only the second lets the caller
// no further than its own prefix.
func both(t *testing.T) []side {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "VAULT_TOKEN="+v.Token, "POLICY_DIR="+dir, "POLICY_TIMEOUT=5s", "PKI_MOUNTS=pki", "TOTP_MOUNTS=totp", "RATE_LIMIT_ENABLED=false")
	return []side{{"vault", v.Addr, v.Token, "direct"}, {"gateway", g.URL, e2e.Key, "agent_api"}}
}

// form is what there is in a value, and of which types.
func form(v any, at string) []string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, form(v[k], at+"."+k)...)
		}
		return out
	case []any:
		return []string{at + " list"}
	case nil:
		return []string{at + " null"}
	}
	return []string{fmt.Sprintf("%s %T", at, v)}
}

// exchange is one request of a client and its answer, without any value of it: how it
// ended, the form of its body and the names of its headers. In the request <TOKEN> is the
// token of the side, and <N.path> what is at a path in the answer to request N.
type exchange struct {
	Method  string            `json:"method"`
	URI     string            `json:"uri"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Status  int               `json:"status"`
	Form    []string          `json:"form,omitempty"`
	Named   []string          `json:"named"`
}

// answered notes an answer.
func (e *exchange) answered(status int, h http.Header, body []byte) {
	e.Status, e.Form, e.Named = status, nil, nil
	var v any
	if json.Unmarshal(body, &v) == nil {
		e.Form = form(v, "")
	}
	for name := range h {
		if name != "Date" && name != "Content-Length" {
			e.Named = append(e.Named, name)
		}
	}
	slices.Sort(e.Named)
}

// recording is the file of what a client has said to a side.
func recording(client, side string) string {
	return filepath.Join("testdata", "recorded", client+"."+side+".jsonl")
}
