package lint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
)

// constraint is what the conditions of a body say of one field.
type constraint struct {
	one      []string // it is one of these; nil for no bound
	not      []string
	low      float64 // inclusive
	high     float64
	elements []string // a list that has all of these
}

// conjunction looks for conditions of one body that exclude each other.
func (s *scope) conjunction(body ast.Body) {
	all := map[string]*constraint{}
	for _, e := range body {
		for _, name := range s.constrains(e, all) {
			if why := all[name].empty(name); why != "" {
				s.linter.add(e.Location, "impossible", "the conditions exclude each other: "+why, "write a rule for each case; entries of a set add up")
				return
			}
		}
	}
	if len(body) > 0 && len(all) > 1 && !s.linter.anyOp(all) {
		s.linter.add(body[0].Location, "impossible", "the conditions exclude each other: no operation has such an op, engine and effect", "look the operation up in the catalogue")
	}
}

// constrains adds what an expression says of fields of the input, and returns their names.
func (s *scope) constrains(e *ast.Expr, all map[string]*constraint) (names []string) {
	negated := e.Negated
	if not, ok := e.Terms.(*ast.Not); ok && len(not.Body) == 1 {
		negated, e = true, not.Body[0]
	}
	if t, ok := e.Terms.(*ast.Term); ok {
		if negated {
			return nil
		}
		return s.say(t, all, comparison{"neq", []*ast.Term{ast.BooleanTerm(false)}, false})
	}
	if !e.IsCall() || len(e.Operands()) != 2 || len(e.With) > 0 {
		return nil
	}
	switch name := e.Operator().String(); name {
	case "equal", "eq", "neq", "lt", "lte", "gt", "gte":
		for i := range 2 {
			if c := e.Operand(1 - i); ast.IsConstant(c.Value) {
				names = append(names, s.say(e.Operand(i), all, comparison{mirrored(name, i == 1), []*ast.Term{c}, negated})...)
			}
		}
	case "internal.member_2":
		if list := s.constants(e.Operand(1), true); len(list) > 0 && len(list) == s.size(e.Operand(1)) {
			names = s.say(e.Operand(0), all, comparison{"equal", list, negated})
		}
		if field, _ := s.field(e.Operand(1)); field == "resource.ancestors" && !negated {
			if text, ok := e.Operand(0).Value.(ast.String); ok {
				c := constraintOf(all, field)
				c.elements = append(c.elements, string(text))
				names = append(names, field)
			}
		}
	}
	return names
}

// size is how many elements a list has that is written out, -1 for another.
func (s *scope) size(t *ast.Term) int {
	list := s.written(t, deep)
	if len(list) != 1 {
		return -1
	}
	switch v := list[0].term.Value.(type) {
	case ast.Set:
		return v.Len()
	case *ast.Array:
		return v.Len()
	}
	return -1
}

func constraintOf(all map[string]*constraint, name string) *constraint {
	if all[name] == nil {
		all[name] = &constraint{low: math.Inf(-1), high: math.Inf(1)}
	}
	return all[name]
}

// comparison is what a term is compared with.
type comparison struct {
	op      string
	with    []*ast.Term // constants
	negated bool
}

// say adds that a term is, or is not, one of some constants, or is on one side of one.
func (s *scope) say(t *ast.Term, all map[string]*constraint, by comparison) []string {
	op, with, negated := by.op, by.with, by.negated
	path := s.canonical(t)
	if len(path) < 2 || path[0] != "input" && path[0] != "data" || path[0] == "data" && s.linter.ruleAt(path) > 0 {
		return nil
	}
	texts := make([]string, len(with))
	for i, c := range with {
		texts[i] = c.String()
	}
	name := strings.Join(path[1:], ".")
	c := constraintOf(all, name)
	switch same := op == "equal" || op == "eq"; {
	case same && !negated || op == "neq" && negated:
		if c.one == nil {
			c.one = texts
		} else {
			c.one = slices.DeleteFunc(slices.Clone(c.one), func(v string) bool { return !slices.Contains(texts, v) })
		}
		c.bound("gte", with[0], len(with) == 1)
		c.bound("lte", with[0], len(with) == 1)
	case same || op == "neq":
		c.not = append(c.not, texts...)
	case !negated:
		c.bound(op, with[0], true)
	}
	return []string{name}
}

// bound narrows the interval of a number.
func (c *constraint) bound(op string, t *ast.Term, known bool) {
	n, ok := t.Value.(ast.Number)
	f, isFloat := n.Float64()
	if !ok || !isFloat || !known {
		return
	}
	switch op {
	case "gt":
		c.low = max(c.low, math.Nextafter(f, math.Inf(1)))
	case "gte":
		c.low = max(c.low, f)
	case "lt":
		c.high = min(c.high, math.Nextafter(f, math.Inf(-1)))
	case "lte":
		c.high = min(c.high, f)
	}
}

// empty says why nothing is left, empty when something is.
func (c *constraint) empty(name string) string {
	left := slices.DeleteFunc(slices.Clone(c.one), func(v string) bool { return slices.Contains(c.not, v) })
	switch {
	case c.one != nil && len(left) == 0:
		return name + " cannot have all the values that it is compared with"
	case c.low > c.high:
		return fmt.Sprintf("%s is compared with numbers that leave none between them; for hours over midnight write two rules", name)
	}
	for _, a := range c.elements {
		for _, b := range c.elements {
			if !strings.HasPrefix(a+"/", b+"/") && !strings.HasPrefix(b+"/", a+"/") {
				return fmt.Sprintf("no path has both %s and %s above it", a, b)
			}
		}
	}
	return ""
}

// anyOp reports whether an operation fits what is said of the action.
func (l *linter) anyOp(all map[string]*constraint) bool {
	return len(l.ops) == 0 || slices.ContainsFunc(l.ops, func(o *op.Op) bool { return fits(o, all) })
}

func fits(o *op.Op, all map[string]*constraint) bool {
	for name, v := range map[string]string{"action.op": o.Name, "action.engine": o.Engine, "action.effect": string(o.Effect)} {
		text := ast.StringTerm(v).String()
		if name == "action.effect" && o.MayDestroy() {
			continue // the arguments decide
		}
		if c := all[name]; c != nil && (c.one != nil && !slices.Contains(c.one, text) || slices.Contains(c.not, text)) {
			return false
		}
	}
	return true
}

// about are the operations that the body of a rule is about.
func (s *scope) about() map[string]bool {
	all, out := map[string]*constraint{}, map[string]bool{}
	for _, e := range s.rule.Body {
		s.constrains(e, all)
	}
	for _, o := range s.linter.ops {
		out[o.Name] = fits(o, all)
	}
	return out
}
