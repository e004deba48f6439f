package program

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// readsOf lists the fields of the input that any rule can read. A reference whose
// path is not known before it runs reads everything below the part that is.
func readsOf(modules map[string]*ast.Module) []string {
	// Who calls decides on the tier, see TierOf.
	paths := []string{"principal.id", "principal.tenant", "principal.roles", "principal.tier"}
	for _, m := range modules {
		paths = append(paths, moduleReads(m)...)
	}
	return paths
}

func moduleReads(m *ast.Module) []string {
	var paths []string
	var visit *ast.GenericVisitor
	visit = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Annotations, *ast.Import, *ast.Package:
			return true
		case ast.Ref:
			if x[0].Equal(ast.InputRootDocument) {
				paths = append(paths, fieldPath(x))
			}
			for _, t := range x[1:] {
				visit.Walk(t)
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) {
				paths = append(paths, "")
			}
		}
		return false
	})
	for _, r := range m.Rules {
		visit.Walk(r)
	}
	return paths
}

// fieldPath is the part of an input reference that is known before it runs.
func fieldPath(r ast.Ref) string {
	var parts []string
	for _, t := range r[1:] {
		s, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		parts = append(parts, string(s))
	}
	return strings.Join(parts, ".")
}

// Reads are the fields of the input that this program can read.
func (p *Program) Reads() document.Reads { return p.reads }

// TeamReads are the fields that the rules which were added can read.
func (p *Program) TeamReads() document.Reads { return p.team }
