package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/audit"
	"portcullis/gateway/e2e"
)

// TestTheOperatorsPage runs the commands of gateway/docs/evidence.md, in their order, over
// the evidence of a gateway that an agent has used.
func TestTheOperatorsPage(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, withAppRole(v)...)
	dir := filepath.Dir(g.LogDir)
	hello := open(t, "POST", g.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"agent-kit","version":"3.1"}}}`,
		"Accept: application/json, text/event-stream")
	session := hello.Header.Get("Mcp-Session-Id")
	tool := func(op, args string) {
		open(t, "POST", g.URL+"/mcp", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"`+op+`","arguments":`+args+`}}`,
			"Accept: application/json, text/event-stream", "Mcp-Session-Id: "+session)
	}
	tool("kv_write", `{"path":"app","data":{"k":"v"}}`)
	tool("kv_read", `{"path":"app"}`)
	e2e.Do(t, "GET", g.URL+"/secrets/app", "")
	e2e.Do(t, "POST", g.URL+"/db/creds/readonly", "{}") // there is no database: nothing is issued
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(e2e.Root(t), "gateway", "docs", "evidence.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(v.AuditFile, filepath.Join(dir, "vault-audit.log")); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for command := range strings.Lines(block[1]) {
			command = strings.TrimSpace(command)
			said[command] = runOnPage(t, dir, strings.ReplaceAll(command, "4c9184f37cff01bcdc32dc486ec36961", audit.SessionHash(session)))
		}
	}
	for part, want := range map[string]string{
		"query $EVIDENCE --since": "mcp agent-kit 3.1", "--session": `"client_name":"agent-kit"`, "audit verify $EVIDENCE": "holds up to line",
		"verify-proof": "proved: in the tree", "@1": "agent_api  2 times", "reconcile": "differs: 0", "tail": "upkeep", "exposure $EVIDENCE database": `"leases":[]`,
	} {
		found := false
		for command, output := range said {
			found = found || strings.Contains(command, part) && strings.Contains(output, want)
		}
		if !found {
			t.Errorf("no command with %q has said %q: %q", part, want, said)
		}
	}
}

// runOnPage runs a command of a page.
func runOnPage(t *testing.T, dir, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + filepath.Join(e2e.Root(t), "bin") + ":" + os.Getenv("PATH"), "EVIDENCE=" + strings.Join(evidenceFiles(t, filepath.Join(dir, "logs")), " ")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", command, err, out)
	}
	return string(out)
}
