package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// TestInputs looks at the inputs that a team's tests make: a field that is not in the
// input is read by no rule, so a test that sets one proves nothing. A field of another
// type, or none, is fine: tests spoil inputs on purpose.
func TestInputs(p *program.Program, team *bundle.Bundle) (found program.Findings) {
	for _, f := range team.Tests {
		m, err := program.ParseFile(team.Title(f.Name), f.Text, ast.RegoV1)
		if err != nil {
			continue // the tests themselves say so
		}
		// One linter for each file: a function of the same name in another is another.
		l := &linter{compiler: p.Compiler(), given: map[callee][]source{}}
		var all []*names
		for _, r := range m.Rules {
			n := l.namesOf(m, r)
			l.calls(n)
			all = append(all, n)
		}
		for _, n := range all {
			n.inputs()
		}
		found = append(found, l.found...)
	}
	seen := map[program.Finding]bool{}
	return slices.DeleteFunc(found, func(f program.Finding) bool {
		again := seen[f]
		seen[f] = true
		return again
	})
}

// inputs looks at every `with input… as …` of a rule.
func (n *names) inputs() {
	ast.NewGenericVisitor(func(x any) bool {
		e, ok := x.(*ast.Expr)
		if !ok {
			return false
		}
		for _, w := range e.With {
			ref, ok := w.Target.Value.(ast.Ref)
			if !ok || !ref[0].Equal(ast.InputRootDocument) {
				continue
			}
			if n.target(w, ref) {
				n.fields(w.Value, fieldPath(ref))
			}
		}
		return false
	}).Walk(n.rule)
}

// target reports whether the field that is replaced is there.
func (n *names) target(w *ast.With, ref ast.Ref) bool {
	path := ""
	for _, t := range ref[1:] {
		name, ok := t.Value.(ast.String)
		if !ok {
			return false
		}
		if !n.field(w.Location, path, string(name)) {
			return false
		}
		path = join(path, string(name))
	}
	return true
}

// fields looks at everything that a term can be as the part of the input at a path.
func (n *names) fields(t *ast.Term, path string) {
	for _, s := range n.written(t, deep) {
		o, ok := s.term.Value.(ast.Object)
		if !ok {
			continue
		}
		o.Foreach(func(k, v *ast.Term) {
			name, ok := k.Value.(ast.String)
			if ok && n.field(k.Location, path, string(name)) {
				s.in.fields(v, join(path, string(name)))
			}
		})
	}
}

// field reports whether the input has a field at a path, and notes one that it lacks.
func (n *names) field(at *ast.Location, path, name string) bool {
	has, open := document.FieldsOf(path)
	if open || slices.Contains(has, name) {
		return true
	}
	if has != nil {
		n.linter.add(at, "test-input", "the input has no field "+join(path, name)+", so the test sets nothing",
			"it is one of "+strings.Join(has, ", "))
	}
	return false
}

func fieldPath(ref ast.Ref) string {
	path := ""
	for _, t := range ref[1:] {
		path = join(path, string(t.Value.(ast.String))) // target has seen to it
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
