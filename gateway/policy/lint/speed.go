package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// iterations finds references that run through a document of data, in the order
// in which the body is evaluated. A decision must not get slower with the data.
func (l *linter) iterations(body ast.Body, outer ast.VarSet) {
	safe := outer.Copy()
	lists := l.standIns(body)
	for _, e := range body {
		l.closures(e, safe)
		if every, ok := e.Terms.(*ast.Every); ok {
			l.domain(e, lists[every.Domain.String()])
		}
		if e.IsCall() && e.Operator().String() == "internal.member_2" {
			l.scan(e, lists[e.Operand(1).String()])
		}
		bound := ast.OutputVarsFromExpr(l.compiler, e, safe)
		ast.WalkRefs(e, func(r ast.Ref) bool {
			if l.isData(r) && unbound(r, safe) {
				l.add(at(e, r), "iteration", "the rule runs through "+stem(r)+", and gets slower with every entry",
					"key the data by what is looked up, as "+stem(r)+"[input.principal.id], or over some ancestor in input.resource.ancestors")
			}
			return false
		})
		safe.Update(bound)
	}
}

// closures looks into comprehensions.
func (l *linter) closures(e *ast.Expr, safe ast.VarSet) {
	ast.WalkTerms(e, func(t *ast.Term) bool {
		switch c := t.Value.(type) {
		case *ast.ArrayComprehension:
			l.iterations(c.Body, safe)
		case *ast.SetComprehension:
			l.iterations(c.Body, safe)
		case *ast.ObjectComprehension:
			l.iterations(c.Body, safe)
		default:
			return false
		}
		return true
	})
}

// standIns are the variables that the compiler put in the place of references to
// data, by name.
func (l *linter) standIns(body ast.Body) map[string]ast.Ref {
	out := map[string]ast.Ref{}
	for _, e := range body {
		if !e.IsEquality() || e.Negated {
			continue
		}
		for i := range 2 {
			v, isVar := e.Operand(i).Value.(ast.Var)
			r, isRef := e.Operand(1 - i).Value.(ast.Ref)
			if isVar && isRef && l.isData(r) {
				out[string(v)] = r
			}
		}
	}
	return out
}

func (l *linter) domain(e *ast.Expr, list ast.Ref) {
	if list != nil {
		l.add(e.Location, "iteration", "every runs through "+list.String()+", and gets slower with every entry",
			"key the data by what is looked up")
	}
}

// scan warns of `x in data.list`, which compares one by one.
func (l *linter) scan(e *ast.Expr, list ast.Ref) {
	if list != nil {
		l.warn(e.Location, "scan", "in compares with every entry of "+list.String(),
			"key the data by what is looked up, as "+list.String()+"[x], when the list can grow")
	}
}

// isData reports whether a reference is to data, and not to a rule.
func (l *linter) isData(r ast.Ref) bool {
	if !r[0].Equal(ast.DefaultRootDocument) {
		return false
	}
	return len(l.compiler.GetRulesForVirtualDocument(r.GroundPrefix())) == 0 &&
		len(l.compiler.GetRulesWithPrefix(r.GroundPrefix())) == 0
}

func unbound(r ast.Ref, safe ast.VarSet) bool {
	for _, t := range r[1:] {
		if v, ok := t.Value.(ast.Var); ok && !safe.Contains(v) {
			return true
		}
	}
	return false
}

func at(e *ast.Expr, r ast.Ref) *ast.Location {
	if e.Location != nil {
		return e.Location
	}
	return r[0].Location
}

func stem(r ast.Ref) string { return r.GroundPrefix().String() }

// indexed warns of a rule that has nothing by which the evaluator could leave it
// out, and of patterns that are then tried for every call.
func (l *linter) indexed(r *ast.Rule) {
	entry := r.Head.Name == "deny" || r.Head.Name == "obligation"
	if !entry || !reads(r.Body, ast.InputRootDocument) {
		return // a helper is evaluated when the rule that uses it got that far
	}
	fields := locals(r.Body)
	for _, e := range r.Body {
		if indexable(e, fields) {
			return
		}
	}
	msg := "every call evaluates the whole rule"
	if strings.Contains(r.Body.String(), "regex.") || strings.Contains(r.Body.String(), "**") {
		msg = "every call tries the rule's pattern"
	}
	l.warn(r.Location, "unindexed", msg, `begin with a comparison that leaves most calls out, as input.action.op == "kv.read" or "x" in input.principal.roles`)
}

// locals are the variables that the compiler put in the place of input fields.
func locals(body ast.Body) ast.VarSet {
	out := ast.VarSet{}
	for _, e := range body {
		if !e.IsEquality() || e.Negated {
			continue
		}
		a, b := e.Operand(0), e.Operand(1)
		if v, ok := a.Value.(ast.Var); ok && isInput(b, nil) {
			out.Add(v)
		}
		if v, ok := b.Value.(ast.Var); ok && isInput(a, nil) {
			out.Add(v)
		}
	}
	return out
}

// indexable reports whether the evaluator's rule index understands the expression.
func indexable(e *ast.Expr, fields ast.VarSet) bool {
	if e.Negated || len(e.With) > 0 {
		return false
	}
	if t, ok := e.Terms.(*ast.Term); ok {
		return isInput(t, nil)
	}
	if !e.IsCall() {
		return false
	}
	args := e.Operands()
	switch e.Operator().String() {
	case "eq", "equal", "internal.member_2":
		return isInput(args[0], fields) && ast.IsConstant(args[1].Value) || isInput(args[1], fields) && ast.IsConstant(args[0].Value)
	case "startswith":
		return isInput(args[0], fields) && ast.IsConstant(args[1].Value)
	case "glob.match":
		return isInput(args[2], fields) && !strings.Contains(args[0].String(), "**")
	}
	return false
}

// isInput reports whether a term is a field of the input, or stands for one.
func isInput(t *ast.Term, fields ast.VarSet) bool {
	switch v := t.Value.(type) {
	case ast.Ref:
		return v[0].Equal(ast.InputRootDocument) && v.IsGround()
	case ast.Var:
		return fields.Contains(v)
	}
	return false
}
