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
	handbook, err := filepath.Glob(filepath.Join(root, "gateway", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"README.md", "policies/README.md", "wasm/README.md", "wasm/ABI.md", "tools/README.md", "bench/README.md"} {
		handbook = append(handbook, filepath.Join(root, doc))
	}
	for _, doc := range handbook {
		text, err := os.ReadFile(doc)
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

// TestTheHandbookIsWhole: every page is in the index, and every link between files of the
// project leads somewhere.
func TestTheHandbookIsWhole(t *testing.T) {
	dir := filepath.Join(root, "gateway", "docs")
	pages, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(string(index), "]("+name+")") {
			t.Errorf("%s is not in the index", name)
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range linkRE.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

var linkRE = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`) // to a file of the project
