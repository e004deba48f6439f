package policies_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The list of the cookbook names every recipe, and no other. That each is taken by the
// gateway, and what it then answers, gateway/e2e/cookbook tests with real calls.
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
	if n := strings.Count(string(page), "| ["); n != len(dirs) || n < 38 {
		t.Errorf("%d recipes are listed, %d are there", n, len(dirs))
	}
}

// Every recipe has tests of its own.
func TestEveryRecipeHasTests(t *testing.T) {
	test := regexp.MustCompile(`(?m)^test_`)
	dirs, err := filepath.Glob("cookbook/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(dir + "/*_test.rego")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			n += len(test.FindAll(raw, -1))
		}
		if n < 2 {
			t.Errorf("%s has %d tests", dir, n)
		}
	}
}
