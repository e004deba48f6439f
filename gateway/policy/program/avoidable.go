package program

import (
	"math"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
)

// One rule may refuse the calls that say something and another all that do not, so that
// no call passes though no rule refuses all of them. So everything that is unknown is
// tried: of a field each value that rules compare it with and one more, and any other
// expression may hold or not.

// maxChoices bounds what is tried. Where there is more, what is not impossible counts as
// possible.
const maxChoices = 4096

// avoidable reports whether none of the bodies holds for some choice of what is unknown in
// a call of the operation.
func avoidable(o *op.Op, bodies []ast.Body) bool {
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
				about[l.about] = unknownIn(o, l)
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
			if !u.fixed {
				u.chosen, n = n%u.choices(), n/u.choices()
			}
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
	chosen  int  // the number of a value, len(values) for another one, more for none
	fixed   bool // every call of the operation has what is chosen
}

// never is what is chosen of what no call has.
const never = math.MaxInt

// unknownIn is what a literal is about. An operation names its arguments: those that it
// requires are in every call, and those that it does not have in none.
func unknownIn(o *op.Op, l literal) *unknown {
	u := &unknown{missing: l.optional}
	if l.argument == "" {
		return u
	}
	switch may, must := o.Takes(l.argument); {
	case !may:
		u.fixed, u.chosen = true, never
	case must && l.given:
		u.fixed, u.chosen = true, 0
	}
	return u
}

func (u *unknown) add(value ast.Value) {
	if !slices.ContainsFunc(u.values, func(v ast.Value) bool { return v.Compare(value) == 0 }) {
		u.values = append(u.values, value)
	}
}

func (u *unknown) choices() int {
	switch {
	case u.fixed:
		return 1
	case u.missing:
		return len(u.values) + 2
	}
	return len(u.values) + 1
}

// literal is one expression of a body: a field that has a value, or any other expression.
type literal struct {
	*unknown
	about    string
	value    ast.Value
	argument string // the name of the argument that it is about, empty for anything else
	given    bool   // it says that the argument is there, not what it is
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
	l := literal{about: "holds " + e.String(), value: ast.Boolean(true)}
	if !e.IsCall() || len(e.Operands()) != 2 {
		return l
	}
	operator, a, b := e.Operator().String(), e.Operand(0), e.Operand(1)
	if name, ok := a.Value.(ast.String); ok && operator == ast.Member.Name && b.Equal(refTerm("input.args.keys")) {
		l.argument, l.given = string(name), true
		return l
	}
	if c, ok := compared(operator, a, b); ok {
		return c
	}
	return l
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
	if rest, ok := strings.CutPrefix(name, "input.args.values."); ok && len(ref) == 4 {
		l.argument = rest
	}
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
