package house_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameTestsThatExist: a sentence that promises something names the test
// that holds it, which is worth as much as the name.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
	}
	named := 0
	for _, doc := range []string{"README.md", "policies/README.md", "wasm/README.md", "wasm/ABI.md", "tools/README.md", "bench/README.md", "gateway/docs/identity.md", "gateway/docs/attacks.md"} {
		text, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testNameRE.FindAllString(string(text), -1) {
			named++
			if name = strings.Trim(name, "`"); !there[name] {
				t.Errorf("%s names %s, which is no test", doc, name)
			}
		}
	}
	if named < 20 {
		t.Errorf("%d tests are named, so something has gone wrong", named)
	}
}

var testNameRE = regexp.MustCompile("`(Test|Fuzz|Benchmark)[A-Z]\\w*`") // in a document

// TestPromisesNameTheirTests: each paragraph of README, "Budgets", that says what holds
// names what shows it.
func TestPromisesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Budgets\n")
	section, _, _ = strings.Cut(section, "\n## ")
	paragraphs := 0
	for p := range strings.SplitSeq(section, "\n\n") {
		if p = strings.TrimSpace(p); p == "" || strings.HasPrefix(p, "|") {
			continue
		}
		if paragraphs++; !testNameRE.MatchString(p) {
			t.Errorf("no test is named by %.80q", p)
		}
	}
	if paragraphs < 4 {
		t.Errorf("%d paragraphs", paragraphs)
	}
}
