package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// deep bounds how many names are followed from one to the next.
const deep = 8

// source is what a name was made from: a term, or the elements of one, and where
// names inside it are to be looked up.
type source struct {
	term     *ast.Term
	elements bool
	in       *names
}

// names says what the names of one rule, as it was written, stand for: imports,
// variables, arguments of functions, and rules of the same file.
type names struct {
	module *ast.Module
	rule   *ast.Rule
	linter *linter
	vars   map[ast.Var][]source
}

// namesOf collects the names of a rule, its else branches and comprehensions.
func (l *linter) namesOf(m *ast.Module, r *ast.Rule) *names {
	if n := l.made[r]; n != nil {
		return n
	}
	n := &names{module: m, rule: r, linter: l, vars: map[ast.Var][]source{}}
	if l.made == nil {
		l.made = map[*ast.Rule]*names{}
	}
	l.made[r] = n
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			n.expression(x)
		case *ast.Every:
			n.add(x.Value, source{x.Domain, true, n})
		}
		return false
	}).Walk(r)
	return n
}

func (n *names) add(name *ast.Term, s source) {
	if name == nil {
		return
	}
	if v, ok := name.Value.(ast.Var); ok {
		n.vars[v] = append(n.vars[v], s)
	}
}

func (n *names) expression(e *ast.Expr) {
	if d, ok := e.Terms.(*ast.SomeDecl); ok {
		for _, t := range d.Symbols {
			if c, ok := t.Value.(ast.Call); ok { // some x in xs; some k, x in xs
				n.add(c[len(c)-2], source{c[len(c)-1], true, n})
			}
		}
		return
	}
	if e.Negated || !e.IsCall() || len(e.Operands()) != 2 {
		return
	}
	switch e.Operator().String() {
	case "assign":
		n.add(e.Operand(0), source{term: e.Operand(1), in: n})
	case "eq":
		for i := range 2 {
			if v, ok := e.Operand(i).Value.(ast.Var); ok && !n.outer(v) {
				n.add(e.Operand(i), source{term: e.Operand(1 - i), in: n})
			}
		}
	}
}

// outer reports whether a name is that of an import or of a rule of the file.
func (n *names) outer(v ast.Var) bool {
	return n.imported(v) != nil || slices.ContainsFunc(n.module.Rules, func(r *ast.Rule) bool { return r.Head.Name == v })
}

// sources are what a variable was made from. An argument of a function was made
// from what the calls of it give.
func (n *names) sources(v ast.Var) []source {
	if s := n.vars[v]; len(s) > 0 {
		return s
	}
	if i := n.argument(v); i >= 0 {
		return n.linter.given[callee{string(n.rule.Head.Name), i}]
	}
	for _, r := range n.module.Rules {
		if r.Head.Name == v && r.Head.Value != nil && len(r.Head.Args) == 0 {
			return []source{{term: r.Head.Value, in: n}}
		}
	}
	return nil
}

// argument is the position of a variable among the arguments of the rule, -1 for
// none.
func (n *names) argument(v ast.Var) int {
	for i, a := range n.rule.Head.Args {
		if a.Value.Compare(v) == 0 {
			return i
		}
	}
	return -1
}

// path is the reference that a term stands for, as input.principal.kind, when
// there is one.
func (n *names) path(t *ast.Term, left int) (ast.Ref, bool) {
	ref, ok := t.Value.(ast.Ref)
	if v, isVar := t.Value.(ast.Var); isVar {
		ref, ok = ast.Ref{ast.NewTerm(v)}, true
	}
	if !ok || left == 0 {
		return ref, ok
	}
	head, isVar := ref[0].Value.(ast.Var)
	if !isVar || ref[0].Equal(ast.InputRootDocument) || ref[0].Equal(ast.DefaultRootDocument) {
		return ref, isVar
	}
	if i := n.imported(head); i != nil {
		return i.Concat(ref[1:]), true
	}
	for _, s := range n.sources(head) {
		if p, ok := s.in.path(s.term, left-1); ok && !s.elements {
			return p.Concat(ref[1:]), true
		}
	}
	return ref, true
}

// imported is what an import calls by this name.
func (n *names) imported(v ast.Var) ast.Ref {
	for _, i := range n.module.Imports {
		if ref, ok := i.Path.Value.(ast.Ref); ok && i.Name() == v && len(ref) > 1 && !strings.HasPrefix(i.Path.String(), "rego.") {
			return ref
		}
	}
	return nil
}

// readsInput reports whether anything in a term comes from the input: a field, a
// name for one, an argument of a function, or a rule that reads one.
func (n *names) readsInput(x any, left int) bool {
	found := false
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Call:
			for _, t := range x[1:] { // not the function's own name
				found = found || n.readsInput(t, left)
			}
			return true
		case ast.Var:
			found = found || n.fromInput(x, left)
		case ast.Ref:
			found = found || n.linter.ruleReads(x)
		}
		return found
	}).Walk(x)
	return found
}

func (n *names) fromInput(v ast.Var, left int) bool {
	if v.Equal(ast.InputRootDocument.Value) || n.argument(v) >= 0 {
		return true
	}
	if i := n.imported(v); i != nil {
		return i[0].Equal(ast.InputRootDocument)
	}
	if left == 0 {
		return false
	}
	if len(n.vars[v]) == 0 {
		return n.linter.ruleReads(n.module.Package.Path.Append(ast.StringTerm(string(v))))
	}
	for _, s := range n.vars[v] {
		if n.readsInput(s.term, left-1) {
			return true
		}
	}
	return false
}

// ruleReads reports whether a reference is to a rule that reads the input.
func (l *linter) ruleReads(r ast.Ref) bool {
	if !r[0].Equal(ast.DefaultRootDocument) {
		return false
	}
	for _, rule := range l.compiler.GetRulesForVirtualDocument(r.GroundPrefix()) {
		if reads(rule, ast.InputRootDocument) {
			return true
		}
	}
	return false
}

// callee is an argument of a function by its position.
type callee struct {
	name string
	arg  int
}

// calls notes what the functions of teams are called with.
func (l *linter) calls(n *names) {
	note := func(name *ast.Term, args []*ast.Term) {
		ref, ok := name.Value.(ast.Ref)
		if !ok {
			return
		}
		short := strings.Trim(ref[len(ref)-1].String(), `"`)
		for i, a := range args {
			k := callee{short, i}
			l.given[k] = append(l.given[k], source{term: a, in: n})
		}
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Call:
			note(x[0], x[1:])
		case *ast.Expr:
			if x.IsCall() {
				note(ast.NewTerm(x.Operator()), x.Operands())
			}
		}
		return false
	}).Walk(n.rule)
}
