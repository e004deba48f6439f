//go:build clients

package clients_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// run runs one of the commands below bin/ against a side, and returns what it said.
func run(t *testing.T, s side, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", name), args...)
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+s.addr, "VAULT_TOKEN="+s.token, "HOME="+t.TempDir())
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v on %s: %v\n%s%s", name, args, s.name, err, out.String(), bad.String())
	}
	return out.String()
}

// TestSops: what sops has encrypted with a key of transit is no plain text, and what it
// decrypts is what it was given, directly and through the gateway, and from one to the
// other.
func TestSops(t *testing.T) {
	sides := both(t)
	const plain = "password: s3cret-of-sops\n"
	for i, s := range sides {
		file := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(file, []byte(plain), 0o600); err != nil {
			t.Fatal(err)
		}
		sealed := run(t, s, "sops", "encrypt", "--hc-vault-transit", s.addr+"/v1/transit/keys/mcp", file)
		if strings.Contains(sealed, "s3cret") || !strings.Contains(sealed, "vault:v1:") {
			t.Fatalf("%s: got %s", s.name, sealed)
		}
		other := sides[1-i]
		for _, by := range []side{s, other} {
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(sealed, s.addr, by.addr)), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := run(t, by, "sops", "decrypt", file); got != plain {
				t.Errorf("encrypted by %s, decrypted by %s: got %q", s.name, by.name, got)
			}
		}
	}
}

// TestConsulTemplate: a template with a secret, with one of several names and with
// something that transit has made, is rendered as it is with Vault.
func TestConsulTemplate(t *testing.T) {
	for _, s := range both(t) {
		vault(t, s, "kv", "put", "secret/mcp/OWN/ct", "a=rendered")
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		text := `{{ with secret "secret/mcp/OWN/ct" }}{{ .Data.data.a }} {{ .Data.metadata.version }}{{ end }}{{ range secrets "secret/mcp/OWN" }} {{ . }}{{ end }}`
		if err := os.WriteFile(in, []byte(strings.ReplaceAll(text, "OWN", s.own)), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, s, "consul-template", "-once", "-vault-renew-token=false", "-vault-addr="+s.addr, "-template="+in+":"+out)
		if got, err := os.ReadFile(out); err != nil || string(got) != "rendered 1 ct" {
			t.Errorf("%s: got %q, %v", s.name, got, err)
		}
	}
}
