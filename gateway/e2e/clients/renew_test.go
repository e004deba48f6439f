//go:build clients

package clients_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// withShortCredentials is a gateway in front of a Vault whose database gives out
// credentials that end after seconds unless they are renewed.
func withShortCredentials(t *testing.T) *stack.Gateway {
	t.Helper()
	dsn := e2e.StartPostgres(t).DSN()
	v := e2e.StartVault(t, "--postgres", dsn)
	for path, body := range map[string]map[string]any{
		"database/config/short": {"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": dsn},
		"database/roles/short": {
			"db_name": "short", "default_ttl": "6s", "max_ttl": "1h",
			"creation_statements": []string{`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`},
			"renew_statements":    []string{`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'`},
		},
	} {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := v.Send(t.Context(), "PUT", path, string(raw)); err != nil || status >= 300 {
			t.Fatalf("%s: got %d, %v", path, status, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("version: 2\ngrants: {subjects: {agent_api: {db: {short: {}}}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return e2e.StartGateway(t, v, "POLICY_DIR="+dir, "POLICY_TIMEOUT=5s", "RATE_LIMIT_ENABLED=false")
}

// TestConsulTemplateRenews: while consul-template runs it prolongs the session that it was
// started with and the lease of what it has rendered, both of which would else have ended;
// it never asks for other credentials.
func TestConsulTemplateRenews(t *testing.T) {
	g := withShortCredentials(t)
	s := side{"gateway", g.URL, e2e.Key, "agent_api"}
	o := vault(t, s, "token", "create", "-ttl=6s", "-field=token")
	if o.code != 0 || json.Unmarshal([]byte(o.text), &s.token) != nil {
		t.Fatalf("got %+v", o)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte(`{{ with secret "database/creds/short" }}{{ .Data.username }}{{ end }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "consul-template"), "-vault-renew-token=true", "-vault-addr="+s.addr, "-template="+in+":"+out)
	cmd.Env = append(os.Environ(), "VAULT_TOKEN="+s.token, "HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Signal(os.Interrupt), cmd.Wait() }) // how it ends is not looked at
	calls := func() map[string]int {
		n := map[string]int{}
		for _, l := range e2e.CallLines(t, g.AuditFile()) {
			if l["subject"] == "agent_api" && l["type"] != "outcome" && l["code"] == nil {
				n[fmt.Sprint(l["op"])]++
			}
		}
		return n
	}
	e2e.Eventually(t, "the session and the lease are renewed, longer than they would have lasted", func() bool {
		n := calls()
		return n["vault.renew_self"] >= 4 && n["db.renew"] >= 4
	})
	if n := calls(); n["db.issue_creds"] != 1 {
		t.Errorf("got %d credentials", n["db.issue_creds"])
	}
	name, err := os.ReadFile(out)
	if err != nil || !strings.HasPrefix(string(name), "v-") {
		t.Errorf("rendered %q, %v", name, err)
	}
	if o := vault(t, s, "token", "lookup"); o.code != 0 {
		t.Errorf("the session: got %+v", o)
	}
}
