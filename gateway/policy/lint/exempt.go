package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A text found anywhere in a path, as by contains, is harmless where it makes a rule
// speak: the rule is about more than was meant, and rules of teams only take away.
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

// absence reports whether an expression holds when something is false, not found or
// another text, or when nothing was there to be cut out of a text or replaced in it.
func absence(e *ast.Expr) bool {
	if !e.IsCall() || len(e.Operands()) != 2 {
		return false
	}
	a, b := e.Operand(0), e.Operand(1)
	if _, isCall := a.Value.(ast.Call); !isCall {
		a, b = b, a
	}
	call, isCall := a.Value.(ast.Call)
	same := isCall && len(call) > 2 && call[1].Equal(b)
	index := isCall && call[0].String() == "indexof"
	counted := isCall && (call[0].String() == "count" || call[0].String() == "strings.count")
	_, isText := b.Value.(ast.String)
	switch e.Operator().String() {
	case "equal", "eq":
		return same || b.Equal(ast.BooleanTerm(false)) || index && b.Equal(ast.IntNumberTerm(-1)) || counted && (b.Equal(ast.IntNumberTerm(0)) || b.Equal(ast.IntNumberTerm(1)))
	case "neq":
		return b.Equal(ast.BooleanTerm(true)) || isText
	case "lt":
		return index && b.Equal(ast.IntNumberTerm(0)) || counted
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
		case ast.Ref:
			x.rules(n, ast.NewTerm(v), silent)
		case ast.Var:
			x.named(n, v, silent)
		}
		return false
	}).Walk(terms)
}

// named looks at what a name stands for.
func (x *exemptions) named(n *names, v ast.Var, silent bool) {
	for _, s := range n.vars[v] {
		if c, ok := s.term.Value.(ast.Call); ok && !s.elements {
			x.call(n, c[0].String(), c[1:], silent)
		}
	}
	x.rules(n, ast.NewTerm(v), silent)
}

// rules looks at the rules that a name or a reference is to.
func (x *exemptions) rules(n *names, t *ast.Term, silent bool) {
	for _, r := range x.called(n, t) {
		if r != n.rule {
			x.rule(x.namesOf(x.modules[r], r), r, silent)
		}
	}
}

// call warns of a text that is looked for in a path other than segment by segment, to make
// a rule silent.
func (x *exemptions) call(n *names, name string, args []*ast.Term, silent bool) {
	if slices.Contains([]string{"gt", "gte", "lt", "lte"}, name) {
		x.ordered(n, name, args, silent)
	}
	if !silent || !isBuiltin(name) {
		return
	}
	if slices.Contains([]string{"startswith", "endswith", "contains", "regex.match"}, name) {
		x.identity(n, name, args)
	}
	switch name {
	case "startswith":
		if texts, known := n.texts(args[1], deep); n.kind(args[0], deep) == segment && !(known && !slices.ContainsFunc(texts, inName)) {
			x.boundary(args[0].Location)
		}
	case "contains", "indexof", "endswith", "strings.any_suffix_match", "strings.count":
		x.anywhere(n, name, args[0], args[1])
	case "regex.match":
		x.anywhere(n, name, args[1], args[0])
	case "glob.match":
		x.anywhere(n, name, args[2], args[0])
	case "split":
		if n.kind(args[0], deep) == whole && !args[1].Equal(ast.StringTerm("/")) {
			x.altered(args[0].Location, name)
		}
	case "lower", "upper", "replace", "strings.replace_n", "regex.replace", "substring", "trim", "trim_left", "trim_right", "trim_prefix", "trim_suffix", "trim_space", "strings.reverse":
		call := ast.Call(append([]*ast.Term{ast.RefTerm(ast.VarTerm(name))}, args...))
		if n.made(call, deep) == altered {
			x.altered(args[0].Location, name)
		}
	}
}

// anywhere warns of a text that is looked for anywhere in a path.
func (x *exemptions) anywhere(n *names, name string, path, text *ast.Term) {
	if n.kind(path, deep) == unrelated {
		return
	}
	texts, known := n.texts(text, deep)
	for _, s := range texts {
		known = known && bounded(name, s)
	}
	if !known {
		x.warn(path.Location, "path-anywhere", "whatever has the text anywhere in its path is exempt: a/public is, and so is a/not-public/x",
			`compare whole segments, as not "mcp/team/public" in input.resource.ancestors; or put slashes around the text`)
	}
}

// altered warns of an exemption of several paths that come to the same text.
func (x *exemptions) altered(at *ast.Location, name string) {
	x.warn(at, "path-anywhere", name+" makes the same text of several paths, and all of them are exempt: with lower, PUBLIC/x is where public/x was meant",
		`compare the path as it is, by whole segments, as not "mcp/team/public" in input.resource.ancestors`)
}

// bounded reports whether a text that is looked for begins and ends where segments do.
func bounded(name, s string) bool {
	switch name {
	case "regex.match":
		return anchored(s) || !ended(name, []string{s}) // which is an error already
	case "glob.match":
		return !partial(s) || opened(s) // which is an error already
	case "endswith", "strings.any_suffix_match":
		return s != "" && !isName(s[0])
	}
	return len(s) > 1 && s[0] == '/' && s[len(s)-1] == '/'
}

// anchored reports whether a pattern begins and ends where segments do.
func anchored(s string) bool {
	starts, ends := []string{"^", `\A`, "(^|/)", "(?:^|/)", "/"}, []string{"$", `\z`, "/", "/.*", "/.+", "(/|$)", "(?:/|$)", "($|/)", "(?:$|/)", "(/.*)?"}
	if !slices.ContainsFunc(starts, func(p string) bool { return strings.HasPrefix(s, p) }) || strings.Contains(s, "(?i") {
		return false
	}
	depth := 0
	for i, c := range s {
		switch {
		case i > 0 && s[i-1] == '\\':
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == '|' && depth == 0:
			return false // the other side is looked for anywhere
		}
	}
	return slices.ContainsFunc(ends, func(p string) bool { return strings.HasSuffix(s, p) })
}

// partial reports whether a star of a pattern stands next to a name, as in *public and
// pub*lic: it then is for a part of a segment. One at the end is looked at in any case.
func partial(s string) bool {
	for i := range len(s) {
		before, after := byte('/'), byte('/')
		if i > 0 {
			before = s[i-1]
		}
		if i+1 < len(s) {
			after = s[i+1]
		}
		if s[i] == '*' && (inName(string(before)) || inName(string(after))) {
			return true
		}
	}
	return false
}

// inName reports whether a text ends within a name.
func inName(s string) bool {
	if s == "" {
		return true
	}
	c := s[len(s)-1]
	return isName(c) && c != '-'
}
