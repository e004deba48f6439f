package policies_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// block is a code block of a page with a file's name in a directory.
var block = regexp.MustCompile("(?ms)^```\\w+ ([\\w-]+)/(\\S+)\n(.*?)^```$")

// Every translation on the page is taken as it stands; only tests are left to the
// reader.
func TestTranslatedPoliciesAreTaken(t *testing.T) {
	page, err := os.ReadFile("../gateway/docs/policy-migration.md")
	if err != nil {
		t.Fatal(err)
	}
	root, dirs := t.TempDir(), map[string]bool{}
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		dir := filepath.Join(root, m[1])
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, m[2]), []byte(m[3]), 0o600); err != nil {
			t.Fatal(err)
		}
		dirs[dir] = true
	}
	if len(dirs) < 6 {
		t.Fatalf("the page has %d policies", len(dirs))
	}
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range dirs {
		team, err := bundle.Read(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, r, err := admission.Check(t.Context(), core, team, admission.Options{Ops: cat.All()})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			if f.Check != "test" && !f.Warning {
				t.Error(program.Findings{f}.Error())
			}
		}
	}
}
