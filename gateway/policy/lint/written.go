package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// manySteps bounds how much of the files of one linter is followed: a text can stand for
// more terms than anybody has time for.
const manySteps = 1 << 18

// written are the terms that a term stands for as they were written: followed through
// variables, arguments, and rules and functions of the same file.
func (n *names) written(t *ast.Term, left int) []source {
	if n.linter.steps++; left == 0 || n.linter.steps > manySteps {
		return nil
	}
	switch v := t.Value.(type) {
	case ast.Var:
		return n.behind(v, left)
	case ast.Call:
		return n.returned(v, left)
	case ast.Ref:
		return n.inside(v, left)
	}
	return []source{{term: t, in: n}}
}

// behind are the terms that a variable was made from.
func (n *names) behind(v ast.Var, left int) (out []source) {
	if len(n.vars[v]) == 0 && n.argument(v) < 0 {
		return n.ruleValues(v, 0, left)
	}
	for _, s := range n.sources(v) {
		list := s.in.written(s.term, left-1)
		if !s.elements {
			out = append(out, list...)
			continue
		}
		for _, l := range list {
			out = append(out, elements(l, left-1)...)
		}
	}
	return out
}

// ruleValues are the values of the rules of a name in the file, as functions of so many
// arguments.
func (n *names) ruleValues(name ast.Var, args, left int) (out []source) {
	for _, r := range n.module.Rules {
		if r.Head.Name != name || len(r.Head.Args) != args {
			continue
		}
		in := n.linter.namesOf(n.module, r)
		for ; r != nil; r = r.Else {
			if r.Head.Value != nil {
				out = append(out, in.written(r.Head.Value, left-1)...)
			}
		}
	}
	return out
}

// returned are the terms that the result of a call is made of.
func (n *names) returned(c ast.Call, left int) (out []source) {
	switch name := c[0].String(); {
	case name == "object.union" && len(c) == 3:
		return append(n.written(c[1], left-1), n.written(c[2], left-1)...)
	case name == "object.union_n" && len(c) == 2:
		for _, list := range n.written(c[1], left-1) {
			out = append(out, elements(list, left-1)...)
		}
		return out
	case strings.HasPrefix(name, "object.") && len(c) > 2: // remove, filter
		return n.written(c[1], left-1)
	case !isBuiltin(name):
		return n.ruleValues(ast.Var(name), len(c)-1, left)
	}
	return nil
}

// inside are the terms that a reference into something written reaches.
func (n *names) inside(r ast.Ref, left int) []source {
	head, ok := r[0].Value.(ast.Var)
	if !ok || r[0].Equal(ast.InputRootDocument) || r[0].Equal(ast.DefaultRootDocument) {
		return []source{{term: ast.NewTerm(r), in: n}}
	}
	at := n.behind(head, left)
	for _, key := range r[1:] {
		var next []source
		for _, s := range at {
			o, ok := s.term.Value.(ast.Object)
			switch {
			case !ast.IsConstant(key.Value):
				next = append(next, elements(s, left-1)...)
			case ok && o.Get(key) != nil:
				next = append(next, s.in.written(o.Get(key), left-1)...)
			}
		}
		at = next
	}
	return at
}

// elements are the terms in a list, a set or an object.
func elements(list source, left int) (out []source) {
	add := func(t *ast.Term) { out = append(out, list.in.written(t, left)...) }
	switch v := list.term.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { add(t) })
	}
	return out
}
