package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// deriveFrom writes everything that is made of evidence into a folder that is looked into:
// proofs, exports, answers of the tools.
func deriveFrom(t *testing.T, g *stack.Gateway) {
	t.Helper()
	id := ""
	for _, l := range e2e.CallLines(t, g.AuditFile()) {
		if l["op"] == "kv.write" && l["code"] == "ok" {
			id, _ = l["decision_id"].(string)
		}
	}
	for name, args := range map[string][]string{
		"proof":    {"prove", g.AuditFile(), id},
		"query":    {"query", g.AuditFile()},
		"exposure": {"exposure", g.AuditFile(), "secret/mcp/agent_api/c", "--json"},
		"ocsf":     {"export", g.AuditFile(), "--format", "ocsf"},
		"ecs":      {"export", g.AuditFile(), "--format", "ecs"},
		"cef":      {"export", g.AuditFile(), "--format", "cef"},
	} {
		out, code := portcullis(t, nil, append([]string{"audit"}, args...)...)
		if code != 0 || !strings.Contains(out, "agent_api") {
			t.Errorf("%s: exit code %d: %.200s", name, code, out)
		}
		if err := os.WriteFile(filepath.Join(g.LogDir, "derived."+name), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
