package program

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A list asks whether an operation can be called somewhere. What is left of the rules
// when the resource is unknown cannot be decided, so places are tried: those that rules
// can tell apart. That is all of them when rules only compare a path or its ancestors
// with texts that they spell out, or look them up in the teams' data. Rules that do
// anything else with a place blur it, and then what is not impossible counts as possible.

// blurred reports whether a rule of a team does more with the place of a call than
// compare it.
func blurred(modules map[string]*ast.Module) bool {
	for _, m := range modules {
		for _, r := range m.Rules {
			s := sight{named: names(m), here: ast.NewVarSet()}
			if s.rule(r) {
				return true
			}
		}
	}
	return false
}

// names are the rules of a module that are but names of values.
func names(m *ast.Module) map[string]bool {
	out := map[string]bool{}
	for _, r := range m.Rules {
		plain := len(r.Head.Args) == 0 && r.Head.Key == nil && r.Head.Value != nil && r.Else == nil
		if plain && r.Head.Value.IsGround() && len(r.Body) == 1 && r.Body[0].Equal(ast.NewExpr(ast.BooleanTerm(true))) {
			out[string(r.Head.Name)] = !mentions(r.Head.Value)
		}
	}
	return out
}

// sight looks at one rule.
type sight struct {
	named map[string]bool
	here  ast.VarSet // variables that stand for the path or one of its ancestors
}

func (s *sight) rule(r *ast.Rule) bool {
	for ; r != nil; r = r.Else {
		for _, a := range r.Head.Args {
			if s.place(a) {
				return true
			}
		}
		if r.Head.Value != nil && mentions(r.Head.Value) || s.body(r.Body) {
			return true
		}
	}
	return false
}

func (s *sight) body(b ast.Body) bool {
	for _, e := range b { // declarations first: an expression may stand before them
		s.declare(e)
	}
	return slices.ContainsFunc(b, s.expr)
}

// declare notes the variables of "some x in input.resource.ancestors".
func (s *sight) declare(e *ast.Expr) {
	d, ok := e.Terms.(*ast.SomeDecl)
	if !ok || len(d.Symbols) != 1 {
		return
	}
	if c, ok := d.Symbols[0].Value.(ast.Call); ok && len(c) == 3 && ancestors(c[2]) {
		if v, ok := c[1].Value.(ast.Var); ok {
			s.here.Add(v)
		}
	}
}

// expr reports whether an expression blurs the place.
func (s *sight) expr(e *ast.Expr) bool {
	switch t := e.Terms.(type) {
	case *ast.Not:
		return s.body(t.Body)
	case *ast.SomeDecl:
		c, ok := t.Symbols[0].Value.(ast.Call)
		return ok && !(len(c) == 3 && ancestors(c[2])) && s.touches(t)
	case *ast.Term:
		if not, ok := t.Value.(*ast.Not); ok {
			return s.body(not.Body)
		}
		return s.touches(t) && !s.lookup(t)
	case []*ast.Term:
		return s.touches(t) && !(len(e.With) == 0 && s.comparison(t))
	}
	return s.touches(e)
}

// comparison reports whether a call compares the place with what is spelt out.
func (s *sight) comparison(t []*ast.Term) bool {
	if len(t) != 3 {
		return false
	}
	a, b := t[1], t[2]
	switch t[0].String() {
	case "eq", "equal", "neq", "assign":
		return s.place(a) && s.spelt(b) || s.place(b) && s.spelt(a)
	case "internal.member_2":
		return s.place(a) && s.spelt(b) || ancestors(b) && s.spelt(a)
	}
	return false
}

// lookup reports whether a term looks the place up in the teams' data.
func (s *sight) lookup(t *ast.Term) bool {
	r, ok := t.Value.(ast.Ref)
	return ok && r.HasPrefix(teamData()) && !slices.ContainsFunc(r[2:], func(x *ast.Term) bool { return s.touches(x) && !s.place(x) })
}

func teamData() ast.Ref { return ast.MustParseRef("data.team") }

// place reports whether a term is the path, or stands for an ancestor of it.
func (s *sight) place(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.here.Contains(v)
	case ast.Ref:
		return v.String() == "input.resource.path" || v.String() == "input.resource.relative"
	}
	return false
}

func ancestors(t *ast.Term) bool {
	r, ok := t.Value.(ast.Ref)
	return ok && r.String() == "input.resource.ancestors"
}

// spelt reports whether a term is a value, a rule that is but a name of one, or what
// the teams' data have at a place that is spelt out.
func (s *sight) spelt(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.named[string(v)]
	case ast.Ref:
		return v.HasPrefix(teamData()) && !s.touches(t)
	case ast.Call:
		return false
	}
	return t.IsGround() && !calls(t) && !mentions(t)
}

func calls(t *ast.Term) bool {
	found := false
	ast.WalkTerms(t, func(x *ast.Term) bool {
		switch x.Value.(type) {
		case ast.Call, ast.Ref, *ast.SetComprehension, *ast.ArrayComprehension, *ast.ObjectComprehension:
			found = true
		}
		return found
	})
	return found
}

// touches reports whether anything within has to do with the place.
func (s *sight) touches(x any) bool {
	found := mentions(x)
	ast.WalkVars(x, func(v ast.Var) bool {
		found = found || s.here.Contains(v)
		return found
	})
	return found
}

// mentions reports whether the resource is named within, or the whole input.
func mentions(x any) (found bool) {
	var visit *ast.GenericVisitor
	visit = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			found = found || x[0].Equal(ast.InputRootDocument) && resource(x)
			for _, t := range x[1:] {
				visit.Walk(t)
			}
			return true
		case ast.Var:
			found = found || x.Equal(ast.InputRootDocument.Value)
		}
		return found
	})
	visit.Walk(x)
	return found
}

// resource reports whether a reference into the input may lead to the place of the
// call. Lists leave the version unknown at any place.
func resource(r ast.Ref) bool {
	if len(r) == 1 {
		return true
	}
	_, plain := r[1].Value.(ast.String)
	return !plain || r[1].Equal(ast.StringTerm("resource")) && !(len(r) > 2 && r[2].Equal(ast.StringTerm("version")))
}
