package uses_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestUses runs every script in testdata against one stack.
func TestUses(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("got the scripts %v, %v, want six", files, err)
	}
	p := e2e.StartPostgres(t)
	v := e2e.StartVault(t, "--postgres", p.DSN())
	ca := filepath.Join(t.TempDir(), "ca.pub")
	_, key := e2e.Do(t, "GET", v.Addr+"/v1/ssh/public_key", "")
	if err := os.WriteFile(ca, key, 0o600); err != nil {
		t.Fatal(err)
	}
	s := e2e.StartSSHD(t, strings.TrimSpace(string(key)), v)
	for name, value := range map[string]string{
		"PGHOST": p.Host, "PGPORT": fmt.Sprint(p.Port), "PGDATABASE": "postgres", "PGSSLMODE": "disable",
		"SSH_CA": ca, "SSH_ARGS": strings.Join(s.ClientArgs(), " "),
		"SSH_PASSWORD": "-o PreferredAuthentications=keyboard-interactive -o NumberOfPasswordPrompts=1",
	} {
		t.Setenv(name, value)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { e2e.RunScript(t, f, v) })
	}
}
