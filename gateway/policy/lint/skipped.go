package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// skipped warns of conditions that read as an exemption or a bound and are skipped, so that
// nothing is refused, where something is missing.
func (l *linter) skipped(m *ast.Module, r *ast.Rule) {
	for i, e := range r.Body {
		if e.Negated || !e.IsCall() || len(e.With) > 0 || len(e.Operands()) != 2 {
			continue
		}
		operator := e.Operator().String()
		if !slices.Contains([]string{"neq", "lt", "lte", "gt", "gte"}, operator) {
			continue
		}
		if operator == "neq" && l.anyOther(r, e) {
			continue
		}
		s, x := l.scopeOf(r, 0), &reports{l, map[*ast.Rule]bool{}}
		for j, other := range r.Body {
			if j != i {
				s.learnFrom(other)
			}
		}
		for k, t := range e.Operands() {
			if g := x.defined(s, t); g != nil && missed(g) && !asksFor(m, t) {
				l.warn(e.Location, "skipped", "where "+g.what+" is missing, the comparison does not hold and the rule says nothing",
					"say what then holds, in a rule with `not "+t.String()+"`; or write `not "+t.String()+" "+inverse(operator, k == 1)+" …`, which holds where it is missing")
			}
		}
	}
}

// inverse is the comparison that holds when another does not, mirrored when the operands
// are.
func inverse(operator string, other bool) string {
	return map[string]string{"neq": "==", "lt": ">=", "lte": ">", "gt": "<=", "gte": "<"}[mirrored(operator, other)]
}

// missed reports whether what may be missing is missed: no argument, which most calls leave
// out, no one on whose behalf a call is made, as most are on nobody's, and nothing that is
// looked up in the data, as a table is asked for what it has.
func missed(g *gap) bool {
	name := strings.Join(g.path, ".")
	return !slices.ContainsFunc([]string{"input.args.", "input.principal.on_behalf_of.", "data.team."}, func(part string) bool { return strings.HasPrefix(name, part) })
}

// asksFor reports whether a rule of the module asks whether something is missing.
func asksFor(m *ast.Module, t *ast.Term) (found bool) {
	text := t.String()
	for _, r := range m.Rules {
		ast.WalkExprs(r, func(e *ast.Expr) bool {
			if not, ok := e.Terms.(*ast.Not); ok {
				found = found || strings.Contains(not.Body.String(), text)
			}
			found = found || e.Negated && strings.Contains(e.String(), text)
			return found
		})
	}
	return found
}

// anyOther warns of `some x in input.principal.roles; x != "admin"`: it is read as "but for
// admin", and refuses whoever has another one as well, and nobody who has none.
func (l *linter) anyOther(r *ast.Rule, e *ast.Expr) bool {
	for i, t := range e.Operands() {
		v, ok := t.Value.(ast.Var)
		if !ok || !ast.IsConstant(e.Operand(1-i).Value) {
			continue
		}
		for _, x := range l.namesOf(l.modules[r], r).vars[v] {
			if list, isRef := x.term.Value.(ast.Ref); x.elements && isRef && list.HasPrefix(ast.MustParseRef("input.principal")) && uses(r, v) == 2 {
				l.warn(e.Location, "skipped", "this holds for whoever has another one, whatever else it has, and not for who has none",
					"to leave out who has it, write `not "+e.Operand(1-i).String()+" in "+list.String()+"`")
				return true
			}
		}
	}
	return false
}

// uses is how often the body of a rule names a variable.
func uses(r *ast.Rule, v ast.Var) (n int) {
	ast.WalkVars(r.Body, func(x ast.Var) bool {
		if x == v {
			n++
		}
		return false
	})
	return n
}
