package house_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// own are the sources that read what the gateway itself, or the kernel, has written.
const own = " gateway/store/dir/dir.go gateway/sink/spool.go gateway/server/memory_linux.go "

// TestFilesAreReadInOnePlace: package files waits for no pipe in the place of a file, and
// keeps nothing in memory that has no end.
func TestFilesAreReadInOnePlace(t *testing.T) {
	for _, s := range sources(t) {
		for _, at := range readers(s) {
			t.Error(at + ": read it with files.Read, files.KeyPair or, what somebody names to a command, files.Input")
		}
	}
}

// TestFilesAreReadInOnePlaceShown: the rule finds what it is there for.
func TestFilesAreReadInOnePlaceShown(t *testing.T) {
	const text = "package x\nimport (\"os\"; \"crypto/tls\")\nvar a, b = os.ReadFile, tls.LoadX509KeyPair\n"
	for path, want := range map[string]int{"gateway/x.go": 2, "gateway/sink/x.go": 2, "gateway/sink/spool.go": 0, "gateway/sink/x_test.go": 0, "tools/x.go": 0} {
		s, err := parseText(path, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := readers(s); len(got) != want {
			t.Errorf("%s: got %q, want %d places", path, got, want)
		}
	}
}

// readers are the places of a source that read a file, or load a key pair, in another way.
func readers(s source) (at []string) {
	if s.test || !strings.HasPrefix(s.path, "gateway/") || isTestSupport(s.dir()) || strings.Contains(own, " "+s.path+" ") {
		return nil
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if e, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"os.ReadFile", "tls.LoadX509KeyPair"}, selector(e)) {
			at = append(at, s.at(e))
		}
		return true
	})
	return at
}
