package server_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/vault/vaulttest"
)

// TestThePublicPageOfMetricsNamesNobody: without a listener for administrators, anybody
// who reaches the gateway may ask for its metrics, and learns neither who calls nor for
// what. What it holds otherwise is there.
func TestThePublicPageOfMetricsNamesNobody(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("secret/data/mcp/agent_api/obviously-mine", map[string]any{"data": map[string]string{"value": "obviously-fake"}})
	addr := inProcess(t, v)
	get := func(path, key string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("X-API-Key", key)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if got := get("/secrets/obviously-mine", "dev-api-key"); !strings.Contains(got, "obviously-fake") {
		t.Fatalf("the caller's own call: %s", got)
	}
	get("/secrets/obviously-missing", "dev-api-key")
	get("/kv/secret/mcp/obviously-other/app", "dev-api-key")
	get("/secrets/obviously-mine", "a-key-that-is-wrong")
	page := get("/metrics", "")
	for _, family := range []string{"portcullis_vault_calls_total", "portcullis_audit_lines_total", "portcullis_budget_used"} {
		if !strings.Contains(page, family) {
			t.Errorf("%s is not on the page", family)
		}
	}
	for _, name := range []string{"agent_api", "dev-api-key", "obviously", "a-key-that", "api_key_last_used", "mcp/"} {
		if i := strings.Index(page, name); i >= 0 {
			t.Errorf("%q is on the page: %.200q", name, page[max(0, i-80):])
		}
	}
}
