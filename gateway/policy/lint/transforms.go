package lint

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/program"
)

// Transform is a transform that a policy asks for in so many words.
type Transform struct {
	File string
	Line int
	Op   string // that it is asked of, empty for any
	Name string
	Args map[string]any // nil when they are not known before the policy runs
}

// Transforms are those that rules of teams ask for.
func Transforms(p *program.Program) (found []Transform) {
	l := &linter{compiler: p.Compiler(), given: map[callee][]source{}}
	var all []*names
	for _, m := range p.TeamModules() {
		if !m.Package.Path[2].Equal(ast.StringTerm("obligations")) {
			continue
		}
		for _, r := range m.Rules {
			all = append(all, l.namesOf(m, r))
			l.calls(all[len(all)-1])
		}
	}
	for _, n := range all {
		ast.NewGenericVisitor(func(x any) bool {
			if o, ok := x.(ast.Object); ok {
				found = append(found, n.transforms(o)...)
			}
			return false
		}).Walk(n.rule)
	}
	return found
}

// transforms are those in an obligation as it was written.
func (n *names) transforms(o ast.Object) (found []Transform) {
	list := o.Get(ast.StringTerm("transforms"))
	if list == nil {
		return nil
	}
	for _, l := range n.written(list, deep) {
		array, ok := l.term.Value.(*ast.Array)
		if !ok {
			continue
		}
		array.Foreach(func(t *ast.Term) {
			for _, s := range l.in.written(t, deep) {
				found = append(found, s.in.transform(s.term)...)
			}
		})
	}
	return found
}

func (n *names) transform(t *ast.Term) (found []Transform) {
	o, ok := t.Value.(ast.Object)
	if !ok || o.Get(ast.StringTerm("name")) == nil {
		return nil
	}
	var args map[string]any
	if a := o.Get(ast.StringTerm("args")); a == nil {
		args = map[string]any{}
	} else if ast.IsConstant(a.Value) {
		v, _ := ast.JSON(a.Value)
		args, _ = v.(map[string]any)
	}
	name := o.Get(ast.StringTerm("name"))
	texts, _ := n.texts(name, deep)
	for _, s := range texts {
		found = append(found, Transform{File: name.Location.File, Line: name.Location.Row, Name: s, Args: args})
	}
	return found
}
