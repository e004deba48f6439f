package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// source is one parsed Go file of the root module.
type source struct {
	path string // from the top of the project
	text string
	ast  *ast.File
	set  *token.FileSet
	test bool
}

// sources parses every file of the root module: whatever lies below a go.mod of
// its own, and what is generated or test data, is not ours to rule.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && foreign(path, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		s, err := parse(path)
		if err == nil && !ast.IsGenerated(s.ast) {
			out = append(out, s)
		}
		return err
	})
	if err != nil || len(out) < 50 {
		t.Fatalf("%d files: %v", len(out), err)
	}
	return out
}

func foreign(path, name string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".")
}

func parse(path string) (source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	return parseText(path, string(text))
}

func parseText(path, text string) (source, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	rel := strings.TrimPrefix(filepath.ToSlash(path), root+"/")
	return source{path: rel, text: text, ast: f, set: set, test: strings.HasSuffix(path, "_test.go")}, err
}

// dir is the file's folder from the top of the project.
func (s source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

// lines is how many lines a node takes.
func (s source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

// at names a place for people.
func (s source) at(n ast.Node) string {
	p := s.set.Position(n.Pos())
	p.Filename = s.path
	return p.String()
}
