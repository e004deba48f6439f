package lint

import "github.com/open-policy-agent/opa/v1/ast"

// emitted are the variables that are a whole entry or a whole field of one.
func emitted(r *ast.Rule) map[ast.Var]bool {
	out := map[ast.Var]bool{}
	var note func(t *ast.Term, left int)
	note = func(t *ast.Term, left int) {
		switch v := t.Value.(type) {
		case ast.Object:
			v.Foreach(func(_, t *ast.Term) { note(t, left) })
		case ast.Var:
			if out[v] || left == 0 {
				return
			}
			out[v] = true
			for _, e := range r.Body {
				if made, t := assigned(e); made == v && t != nil {
					note(t, left-1)
				}
			}
		}
	}
	for _, t := range []*ast.Term{r.Head.Key, r.Head.Value} {
		if t != nil {
			note(t, deep)
		}
	}
	return out
}

// assigned is a variable and what it is made from, of an expression that makes one.
func assigned(e *ast.Expr) (ast.Var, *ast.Term) {
	if e.Negated || len(e.With) > 0 || !e.IsAssignment() && !e.IsEquality() || len(e.Operands()) != 2 {
		return "", nil
	}
	if v, ok := e.Operand(0).Value.(ast.Var); ok {
		return v, e.Operand(1)
	}
	return "", nil
}

// split tells the conditions of a rule from what only makes what it reports. A lookup in
// data is always a condition: the table says whom the rule is about.
func (s *scope) split(r *ast.Rule) (conditions, made ast.Body) {
	only := make([]bool, len(r.Body))
	for i, e := range r.Body {
		v, t := assigned(e)
		only[i] = t != nil && s.imported(v) == nil && s.argument(v) < 0 && !s.local(v) && len(s.vars[v]) == 1 && !s.looksUpData(t)
	}
	for again := true; again; {
		again = false
		for i, e := range r.Body {
			v, _ := assigned(e)
			if only[i] && usedBy(r.Body, only, i, v) {
				only[i], again = false, true
			}
		}
	}
	for i, e := range r.Body {
		switch {
		case only[i]:
			made = append(made, e)
		case !isTrue(e):
			conditions = append(conditions, e)
		}
	}
	return conditions, made
}

func isTrue(e *ast.Expr) bool {
	t, ok := e.Terms.(*ast.Term)
	return ok && t.Equal(ast.BooleanTerm(true)) && !e.Negated
}

// usedBy reports whether a condition uses a variable.
func usedBy(body ast.Body, only []bool, made int, v ast.Var) bool {
	for i, e := range body {
		if i == made || only[i] {
			continue
		}
		found := false
		ast.WalkVars(e, func(x ast.Var) bool {
			found = found || x == v
			return found
		})
		if found {
			return true
		}
	}
	return false
}
