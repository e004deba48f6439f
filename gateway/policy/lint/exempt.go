package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A text found anywhere in a path, as by contains, is harmless where it makes a rule
// speak: the rule speaks of more than was meant, and rules of teams only take away.
// Where it makes a rule silent, more is exempt than was meant. exemptions warns of that;
// an error would refuse a team that means any name with the text in it.
type exemptions struct {
	*linter
	seen map[exemption]bool
}

// exemption is a rule that is looked at as one that makes another speak, or silent.
type exemption struct {
	rule   *ast.Rule
	silent bool
}

// exempt looks at a rule that the gateway reads.
func (l *linter) exempt(m *ast.Module, r *ast.Rule) {
	x := &exemptions{l, map[exemption]bool{}}
	x.rule(l.namesOf(m, r), r, false)
}

// rule looks at a rule and its else branches.
func (x *exemptions) rule(n *names, r *ast.Rule, silent bool) {
	if key := (exemption{r, silent}); !x.seen[key] {
		x.seen[key] = true
		for ; r != nil; r = r.Else {
			x.body(n, r.Body, silent)
			if r.Head.Value != nil {
				x.parts(n, r.Head.Value, silent)
			}
		}
	}
}

func (x *exemptions) body(n *names, b ast.Body, silent bool) {
	for _, e := range b {
		here := silent != e.Negated != absence(e)
		if e.IsCall() {
			x.call(n, e.Operator().String(), e.Operands(), here)
		}
		switch t := e.Terms.(type) {
		case []*ast.Term:
			for _, part := range t {
				x.parts(n, part, here)
			}
		default:
			x.parts(n, t, here)
		}
	}
}

// absence reports whether an expression holds when something is false or not found.
func absence(e *ast.Expr) bool {
	if !e.IsCall() || len(e.Operands()) != 2 {
		return false
	}
	a, b := e.Operand(0), e.Operand(1)
	if ast.IsConstant(a.Value) {
		a, b = b, a
	}
	call, isCall := a.Value.(ast.Call)
	index := isCall && call[0].String() == "indexof"
	switch e.Operator().String() {
	case "equal", "eq":
		return b.Equal(ast.BooleanTerm(false)) || index && b.Equal(ast.IntNumberTerm(-1))
	case "neq":
		return b.Equal(ast.BooleanTerm(true))
	case "lt":
		return index && b.Equal(ast.IntNumberTerm(0))
	}
	return false
}

// parts looks at what an expression or a value is made of.
func (x *exemptions) parts(n *names, terms any, silent bool) {
	ast.NewGenericVisitor(func(v any) bool {
		switch v := v.(type) {
		case *ast.Not:
			x.body(n, v.Body, !silent)
			return true
		case ast.Body:
			x.body(n, v, silent)
			return true
		case ast.Call:
			x.call(n, v[0].String(), v[1:], silent)
		case ast.Var:
			x.named(n, v, silent)
		}
		return false
	}).Walk(terms)
}

// named looks at the rules of the file that a name stands for.
func (x *exemptions) named(n *names, v ast.Var, silent bool) {
	for _, s := range n.vars[v] {
		if c, ok := s.term.Value.(ast.Call); ok && !s.elements {
			x.call(n, c[0].String(), c[1:], silent)
		}
	}
	for _, r := range n.module.Rules {
		if r.Head.Name == v && r != n.rule {
			x.rule(x.namesOf(n.module, r), r, silent)
		}
	}
}

// call warns of a text that is looked for anywhere in the path, to make a rule silent.
func (x *exemptions) call(n *names, name string, args []*ast.Term, silent bool) {
	path, text := 0, 1
	switch name {
	case "regex.match":
		path, text = 1, 0
	case "contains", "indexof", "endswith":
	default:
		return
	}
	if !silent || len(args) != 2 || !n.isPath(args[path]) {
		return
	}
	texts, known := n.texts(args[text], deep)
	for _, s := range texts {
		known = known && bounded(name, s)
	}
	if !known {
		x.warn(args[path].Location, "path-anywhere", "whatever has the text anywhere in its path is exempt: a/public is, and so is a/not-public/x",
			`compare whole segments, as not "mcp/team/public" in input.resource.ancestors; or put slashes around the text`)
	}
}

// bounded reports whether a text that is looked for begins and ends where segments do.
func bounded(name, s string) bool {
	switch name {
	case "regex.match":
		return strings.HasPrefix(s, "^") || strings.HasPrefix(s, `\A`)
	case "endswith":
		return s != "" && !isName(s[0])
	}
	return len(s) > 1 && s[0] == '/' && s[len(s)-1] == '/'
}
