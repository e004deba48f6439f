package bundle_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// What looks like rules or data and is not loaded is reported, whatever its name, and a
// directory that editors keep for themselves keeps nobody from reading the policy.
func TestFilesThatAreNotLoadedAreTold(t *testing.T) {
	const rules = "package policy.deny.t\n"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"data.yaml": "team: {t: {a: 1}}", "r.rego": rules, "README.md": "# Rules", ".editor/settings": "{}",
		"r.rego.txt": rules, "R.REGO": rules, ".r.rego": rules, ".old/deep/r.rego": rules, "r.rego~": rules, "copy of r.rego.bak": rules,
		"rules": rules, "grants.yaml": "grants: {}", "data.toml": "a = 1",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(b.Unread)
	want := []string{".old/deep/r.rego", ".r.rego", "R.REGO", "copy of r.rego.bak", "data.toml", "grants.yaml", "r.rego.txt", "r.rego~", "rules"}
	if !slices.Equal(b.Unread, want) || len(b.Rules) != 1 {
		t.Errorf("got %q, want %q", b.Unread, want)
	}
}
