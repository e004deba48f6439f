package program

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// One rule may refuse the calls that say something and another all that do not, so that
// no call passes though no rule refuses all of them. So everything that is unknown is
// tried: of a field each value that rules compare it with and one more, and any other
// expression may hold or not.

// maxChoices bounds what is tried. Where there is more, what is not impossible counts as
// possible.
const maxChoices = 4096

// avoidable reports whether none of the bodies holds for some choice of what is unknown.
func avoidable(bodies []ast.Body) bool {
	about, rules, choices := map[string]*unknown{}, []conjunction{}, 1
	var order []*unknown
	for _, b := range bodies {
		if len(b) == 0 {
			return false
		}
		if hasVariables(b) { // its expressions depend on each other
			continue
		}
		var rule conjunction
		for _, e := range b {
			l := literalOf(e)
			if about[l.about] == nil {
				about[l.about] = &unknown{missing: l.optional}
				order = append(order, about[l.about])
			}
			l.unknown = about[l.about]
			l.unknown.add(l.value)
			rule = append(rule, l)
		}
		rules = append(rules, rule)
	}
	for _, u := range order {
		if choices *= u.choices(); choices > maxChoices {
			return true
		}
	}
	for n := range choices {
		for _, u := range order {
			u.chosen, n = n%u.choices(), n/u.choices()
		}
		if !slices.ContainsFunc(rules, conjunction.holds) {
			return true
		}
	}
	return false
}

// unknown is a field with the values that it is compared with, or an expression, whose
// one value is that it holds.
type unknown struct {
	values  []ast.Value
	missing bool // the field may be missing: it then equals nothing, and differs from nothing
	chosen  int  // the number of a value, len(values) for another one, one more for none
}

func (u *unknown) add(value ast.Value) {
	if !slices.ContainsFunc(u.values, func(v ast.Value) bool { return v.Compare(value) == 0 }) {
		u.values = append(u.values, value)
	}
}

func (u *unknown) choices() int {
	if u.missing {
		return len(u.values) + 2
	}
	return len(u.values) + 1
}

// literal is one expression of a body: a field that has a value, or any other expression.
type literal struct {
	*unknown
	about    string
	value    ast.Value
	optional bool
	differs  bool // the field has another value
	negated  bool
}

func (l literal) holds() bool {
	if l.chosen > len(l.values) {
		return l.negated
	}
	return (l.chosen < len(l.values) && l.values[l.chosen].Compare(l.value) == 0) != (l.differs != l.negated)
}

type conjunction []literal

func (c conjunction) holds() bool {
	return !slices.ContainsFunc(c, func(l literal) bool { return !l.holds() })
}

// literalOf reads an expression.
func literalOf(e *ast.Expr) literal {
	if len(e.With) > 0 {
		return literal{about: "holds " + e.String(), value: ast.Boolean(true)}
	}
	inner := e
	if not, ok := e.Terms.(*ast.Not); ok && len(not.Body) == 1 {
		inner = not.Body[0]
	} else if e.Negated {
		inner = e.Copy()
		inner.Negated = false
	}
	if inner != e {
		l := literalOf(inner)
		l.negated = !l.negated
		return l
	}
	if e.IsCall() && len(e.Operands()) == 2 {
		if l, ok := compared(e.Operator().String(), e.Operand(0), e.Operand(1)); ok {
			return l
		}
	}
	return literal{about: "holds " + e.String(), value: ast.Boolean(true)}
}

// compared reads a comparison of a field of the input with a value.
func compared(operator string, a, b *ast.Term) (l literal, ok bool) {
	if _, field := a.Value.(ast.Ref); !field {
		a, b = b, a
	}
	ref, field := a.Value.(ast.Ref)
	if !field || !ref.HasPrefix(ast.InputRootRef) || !ast.IsConstant(b.Value) {
		return l, false
	}
	name := ref.String()
	always := func(part string) bool { return strings.HasPrefix(name, part) }
	l = literal{about: name, value: b.Value, differs: operator == "neq"}
	l.optional = !slices.ContainsFunc([]string{"input.request.", "input.context.client.", "input.action."}, always)
	return l, slices.Contains([]string{"eq", "equal", "neq"}, operator)
}

// hasVariables reports whether anything but the input and the data is a variable.
func hasVariables(b ast.Body) (found bool) {
	ast.WalkVars(b, func(v ast.Var) bool {
		found = found || !v.Equal(ast.InputRootDocument.Value) && !v.Equal(ast.DefaultRootDocument.Value) && !operators(v)
		return found
	})
	return found
}

// operators reports whether a variable is the beginning of a built-in function's name.
func operators(v ast.Var) bool {
	return slices.ContainsFunc(ast.Builtins, func(b *ast.Builtin) bool { return b.Ref()[0].Value.Compare(v) == 0 })
}
