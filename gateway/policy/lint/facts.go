package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// facts are what is there whenever the conditions of a rule hold: references in their
// canonical form (see scope.canonical), with everything that they go through.
type facts map[string]bool

const step = "\x00" // between the parts of a canonical reference

func (f facts) add(path []string) {
	for i := range path {
		f[strings.Join(path[:i+1], step)] = true
	}
}

// below reports whether anything is there below a path.
func (f facts) below(path []string) bool {
	prefix := strings.Join(path, step) + step
	for name := range f {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// scope is one rule, or one call of a function, with what holds there.
type scope struct {
	*names
	id    int // tells the variables of one scope from those of another
	bound map[ast.Var]argument
	facts facts
	depth int
}

// argument is what a function is called with, and where.
type argument struct {
	term *ast.Term
	in   *scope
}

// canonical is a reference without aliases: variables that are but names for another
// reference are followed, elements of a list begin with a star. It is nil for what is no
// reference.
func (s *scope) canonical(t *ast.Term) []string { return s.follow(t, deep) }

func (s *scope) follow(t *ast.Term, left int) []string {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.variable(v, left)
	case ast.Ref:
		head := s.follow(v[0], left)
		if head == nil {
			head = []string{s.own(v[0].String())}
		}
		for _, key := range v[1:] {
			head = append(head[:len(head):len(head)], s.key(key, left))
		}
		return head
	}
	return nil
}

// key is one step of a reference.
func (s *scope) key(t *ast.Term, left int) string {
	switch v := t.Value.(type) {
	case ast.String:
		return string(v)
	case ast.Var, ast.Ref:
		if path := s.follow(t, left); path != nil {
			return "[" + strings.Join(path, "/") + "]"
		}
	case ast.Number, ast.Boolean:
		return t.String()
	}
	return s.own(t.String())
}

// own is a name that no other scope has.
func (s *scope) own(name string) string { return fmt.Sprintf("%s#%d", name, s.id) }

func (s *scope) variable(v ast.Var, left int) []string {
	if v.Equal(ast.InputRootDocument.Value) || v.Equal(ast.DefaultRootDocument.Value) {
		return []string{string(v)}
	}
	if a, ok := s.bound[v]; ok && left > 0 {
		if path := a.in.follow(a.term, left-1); path != nil {
			return path
		}
		return []string{s.own(string(v))}
	}
	if i := s.imported(v); i != nil {
		return s.follow(ast.NewTerm(i), left)
	}
	if list := s.vars[v]; len(list) == 1 && left > 0 {
		switch path := s.follow(list[0].term, left-1); {
		case path != nil && list[0].elements:
			return append(path[:len(path):len(path)], "*"+s.own(string(v)))
		case path != nil:
			return path
		}
	}
	if len(s.vars[v]) == 0 && s.argument(v) < 0 && s.local(v) {
		return s.follow(ast.NewTerm(s.module.Package.Path.Append(ast.StringTerm(string(v)))), left)
	}
	return []string{s.own(string(v))}
}

// local reports whether the package has a rule of the name.
func (s *scope) local(v ast.Var) bool {
	return len(s.linter.rules[ruleName(s.module.Package.Path, string(v))]) > 0
}

// learn adds what is there when all expressions of a body hold.
func (s *scope) learn(body ast.Body) {
	for _, e := range body {
		s.learnFrom(e)
	}
}

func (s *scope) learnFrom(e *ast.Expr) {
	if e.Negated {
		return
	}
	s.facts[said(e)] = true
	switch t := e.Terms.(type) {
	case *ast.SomeDecl:
		for _, symbol := range t.Symbols {
			s.iterated(symbol)
		}
	case *ast.Every:
		s.evaluated(t.Domain)
	case *ast.LogicalAnd:
		s.learn(t.Lhs)
		s.learn(t.Rhs)
	case *ast.LogicalOr:
		s.learnEither(t.Lhs, t.Rhs)
	case *ast.Term:
		s.evaluated(t)
		s.helper(t, nil, true)
	case []*ast.Term:
		for _, arg := range t[1:] {
			s.evaluated(arg)
		}
		s.helper(t[0], t[1:], true)
		s.compares(t[0].String(), t[1:])
	}
}

// said is the fact that a condition holds, empty for one that has variables: they mean
// something else in every rule.
func said(e *ast.Expr) string {
	var terms []*ast.Term
	switch t := e.Terms.(type) {
	case *ast.Term:
		terms = []*ast.Term{t}
	case []*ast.Term:
		terms = t[1:]
	}
	if len(terms) == 0 || slices.ContainsFunc(terms, func(t *ast.Term) bool { return !global(t) }) {
		return ""
	}
	return "holds" + step + e.String()
}

// global reports whether a term is a constant or a field of the input or the data.
func global(t *ast.Term) bool {
	ref, ok := t.Value.(ast.Ref)
	return ast.IsConstant(t.Value) || ok && constant(ref) && (ref[0].Equal(ast.InputRootDocument) || ref[0].Equal(ast.DefaultRootDocument))
}

// learnEither adds what is there whichever of some bodies holds.
func (s *scope) learnEither(bodies ...ast.Body) {
	var common facts
	for _, b := range bodies {
		one := *s
		one.facts = maps.Clone(s.facts)
		one.learn(b)
		common = both(common, one.facts)
	}
	maps.Copy(s.facts, common)
}

// both are the facts that two have in common; nil is no bound.
func both(a, b facts) facts {
	if a == nil {
		return b
	}
	out := facts{}
	for f := range a {
		if b[f] {
			out[f] = true
		}
	}
	return out
}

// iterated is `some x in xs` or `some k, x in xs`: what is run through is there, and so is
// the value at every key.
func (s *scope) iterated(symbol *ast.Term) {
	call, ok := symbol.Value.(ast.Call)
	if !ok {
		return
	}
	list := call[len(call)-1]
	s.evaluated(list)
	path := s.canonical(list)
	if len(call) == 4 && path != nil {
		s.facts.add(append(path[:len(path):len(path)], s.key(call[1], deep)))
	}
	if strings.Join(path, ".") == "input.args.keys" {
		s.facts.add([]string{"input", "args", "values", s.key(call[len(call)-2], deep)})
	}
}

// evaluated adds the references in a term that has a value. Comprehensions have one
// whatever is in them.
func (s *scope) evaluated(t *ast.Term) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.TemplateString:
			return true
		case ast.Call:
			for _, arg := range x[1:] {
				s.evaluated(arg)
			}
			s.helper(x[0], x[1:], false)
			return true
		case ast.Ref:
			s.named(ast.NewTerm(x))
		case ast.Var:
			s.named(ast.NewTerm(x))
		}
		return false
	}).Walk(t)
}

// named adds a reference that has a value, and what the rule that it is to asks for.
func (s *scope) named(t *ast.Term) {
	if path := s.canonical(t); path != nil {
		s.facts.add(path)
		s.helper(t, nil, false)
	}
}

// helper adds what every rule that a reference is to, or every function that is called,
// asks for itself. A condition is not met by a default of false.
func (s *scope) helper(name *ast.Term, args []*ast.Term, condition bool) {
	path := s.canonical(name)
	if path == nil || s.depth >= deep || s.linter.scopes > manySteps {
		return
	}
	key := strings.Join(path, ".")
	rules := s.linter.rules[key]
	if len(args) > 0 {
		maps.Copy(s.facts, s.common(rules, args, condition))
		return
	}
	if condition {
		key += step
	}
	if _, known := s.linter.asks[key]; !known && len(rules) > 0 {
		s.linter.asks[key] = s.common(rules, nil, condition)
	}
	maps.Copy(s.facts, s.linter.asks[key])
}

// common is what all of some rules ask for.
func (s *scope) common(rules []*ast.Rule, args []*ast.Term, condition bool) (out facts) {
	for _, r := range rules {
		if r.Head.RuleKind() == ast.MultiValue || len(r.Head.Args) != len(args) || len(r.Head.Ref()) > 1 {
			return nil
		}
		if r.Default && condition && ast.Boolean(false).Compare(r.Head.Value.Value) == 0 {
			continue
		}
		for e := r; e != nil; e = e.Else {
			in := s.enter(e, args)
			in.facts = facts{}
			if !e.Default {
				in.learn(e.Body)
				in.evaluated(e.Head.Value)
			}
			out = both(out, in.facts)
		}
	}
	return out
}

// enter is the scope of a rule, or of a function that is called with arguments.
func (s *scope) enter(r *ast.Rule, args []*ast.Term) *scope {
	in := s.linter.scopeOf(r, s.depth+1)
	maps.Copy(in.facts, s.facts)
	for i, a := range args {
		if v, ok := r.Head.Args[i].Value.(ast.Var); ok {
			in.bound[v] = argument{a, s}
		}
	}
	return in
}

// compares adds what follows from a comparison: that a list is long enough, that what may
// be null is not, that an argument is given, that a lookup did not come to its default.
func (s *scope) compares(name string, args []*ast.Term) {
	if len(args) != 2 {
		return
	}
	for i, t := range args {
		other := args[1-i]
		switch call, isCall := t.Value.(ast.Call); {
		case isCall && call[0].String() == "count":
			s.counted(call[1], atLeast(mirrored(name, i == 1), other))
		case isCall && call[0].String() == "object.get" && len(call) == 4:
			s.looked(call, name, other, i == 1)
		case name == "neq" && other.Equal(ast.NullTerm()):
			s.notNull(t)
		}
	}
	if keys := s.canonical(args[1]); name == "internal.member_2" && strings.Join(keys, ".") == "input.args.keys" {
		s.facts.add([]string{"input", "args", "values", s.key(args[0], deep)})
	}
}

// counted adds the elements that a list of at least n has.
func (s *scope) counted(list *ast.Term, n int) {
	path := s.canonical(list)
	if path == nil {
		path = []string{s.own(list.String())}
	}
	for i := range min(n, 16) {
		s.facts.add(append(path[:len(path):len(path)], fmt.Sprint(i)))
	}
}
