package program

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// plain are the queries that a partial evaluation leaves, as they were meant: "not" stands
// before the one expression that it is about, not before a rule that was made for it, and
// a member that is looked for by its index is asked for.
func plain(pq *rego.PartialQueries) []ast.Body {
	made := single(pq.Support)
	for _, b := range pq.Queries {
		for i, e := range b {
			if m := member(e, b); m != nil {
				b[i] = m
			}
			if not, ok := e.Terms.(*ast.Not); ok && len(e.With) == 0 && len(not.Body) == 1 && made[not.Body[0].String()] != nil {
				b[i] = made[not.Body[0].String()].Complement()
			}
		}
	}
	return pq.Queries
}

// single are the rules, by their full names, that hold when one expression does, and say
// nothing else.
func single(modules []*ast.Module) map[string]*ast.Expr {
	made := map[string]*ast.Expr{}
	for _, m := range modules {
		for _, r := range m.Rules {
			name := m.Package.Path.Append(ast.StringTerm(string(r.Head.Name))).String()
			holds := r.Head.Key == nil && len(r.Head.Args) == 0 && r.Head.Value.Equal(ast.InternedTerm(true))
			if _, twice := made[name]; twice || !holds || r.Default || r.Else != nil || len(r.Body) != 1 || r.Body[0].Negated {
				made[name] = nil
				continue
			}
			made[name] = r.Body[0]
			if m := member(r.Body[0], r.Body); m != nil {
				made[name] = m
			}
		}
	}
	return made
}

// member is the expression that asks whether a constant is in the list of the arguments,
// where e compares it with an element whose index nothing else looks at; else nil.
func member(e *ast.Expr, b ast.Body) *ast.Expr {
	if !e.IsEquality() || e.Negated || len(e.With) > 0 {
		return nil
	}
	value, element := e.Operand(0), e.Operand(1)
	if ast.IsConstant(element.Value) {
		value, element = element, value
	}
	ref, ok := element.Value.(ast.Ref)
	list := refTerm("input.args.keys")
	if !ok || !ast.IsConstant(value.Value) || len(ref) != 4 || !ref.HasPrefix(list.Value.(ast.Ref)) {
		return nil
	}
	index, ok := ref[3].Value.(ast.Var)
	uses := 0
	ast.WalkVars(b, func(v ast.Var) bool {
		if v.Equal(index) {
			uses++
		}
		return false
	})
	if !ok || uses != 1 {
		return nil
	}
	return ast.Member.Expr(value, list)
}
