package e2e_test

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"

	"portcullis/gateway/e2e"
)

// sameCalls are calls that mean the same over both transports.
var sameCalls = []struct{ tool, args, method, path, body string }{
	{"kv.write", `{"path":"app","data":{"a":"1"}}`, "PUT", "/secrets/app", `{"data":{"a":"1"}}`},
	{"kv.read", `{"path":"app"}`, "GET", "/secrets/app", ""},
	{"kv.read", `{"path":"app","version":1}`, "GET", "/secrets/app?version=1", ""},
	{"kv.list", `{"limit":200}`, "GET", "/secrets?limit=200", ""}, // what MCP bounds a list with by itself
	{"kv.delete", `{"path":"app"}`, "DELETE", "/secrets/app", ""},
	{"kv.read", `{"path":"app"}`, "GET", "/secrets/app", ""},
	{"self.whoami", `{}`, "GET", "/whoami", ""},
}

// TestAuditPairs: each call leaves an intent and an outcome, and the pair of a REST
// call equals the pair of the same MCP call in all but transport, ids and times.
func TestAuditPairs(t *testing.T) {
	rest, mcp := e2e.StartGateway(t, e2e.StartVault(t)), e2e.StartGateway(t, e2e.StartVault(t))
	for _, c := range sameCalls {
		e2e.Do(t, c.method, rest.URL+c.path, c.body)
		e2e.Do(t, http.MethodPost, mcp.URL+"/mcp/rpc", fmt.Sprintf(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, c.tool, c.args))
	}
	a, b := e2e.CallLines(t, rest.AuditFile()), e2e.CallLines(t, mcp.AuditFile())
	if len(a) != 2*len(sameCalls) || len(b) != len(a) {
		t.Fatalf("%d and %d lines, want %d", len(a), len(b), 2*len(sameCalls))
	}
	for i, c := range sameCalls {
		for j, kind := range []string{"intent", "outcome"} {
			x, y := a[2*i+j], b[2*i+j]
			if x["type"] != kind || x["op"] != c.tool || x["transport"] != "rest" || y["transport"] != "mcp" {
				t.Errorf("%s: got %v over %v and %v, want the %s", c.tool, x["type"], x["transport"], y["transport"], kind)
			}
			for _, own := range []string{"transport", "time", "request_id", "decision_id", "correlation_id", "duration_us", "prev", "seq"} {
				if own != "correlation_id" && j == 1 && (x[own] == nil || y[own] == nil) { // whoami asks nothing of Vault
					t.Errorf("%s: the outcome has no %s", c.tool, own)
				}
				delete(x, own)
				delete(y, own)
			}
			if !reflect.DeepEqual(x, y) {
				t.Errorf("%s: the %s differs\nREST %v\nMCP  %v", c.tool, kind, x, y)
			}
		}
	}
}
