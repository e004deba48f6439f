package policies_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/ops"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/check"
)

// Every recipe passes what the gateway checks before a policy becomes active: it
// compiles, its tests pass and notice wrong rules, and it does not fail open.
func TestEveryRecipeIsAPolicyThatIsTaken(t *testing.T) {
	dirs, err := filepath.Glob("cookbook/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no recipes", err)
	}
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			team, err := bundle.Read(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, r, err := check.Policy(t.Context(), core, team, check.Options{Ops: cat.All()})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Findings.Err(); err != nil {
				t.Error(err)
			}
			if len(r.Tests.Results) < 2 {
				t.Errorf("%d tests", len(r.Tests.Results))
			}
		})
	}
}

// The list of the cookbook names every recipe, and no other.
func TestTheCookbookListsItsRecipes(t *testing.T) {
	page, err := os.ReadFile("cookbook/README.md")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("cookbook/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !strings.Contains(string(page), "("+filepath.Base(dir)+")") {
			t.Errorf("%s is not listed", dir)
		}
	}
	if n := strings.Count(string(page), "| ["); n != len(dirs) {
		t.Errorf("%d recipes are listed, %d are there", n, len(dirs))
	}
}
