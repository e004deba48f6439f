package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// tables are the tables that the variables of a rule stand for: documents of data,
// and arguments of the rule when it is a function.
type tables map[ast.Var]ast.Ref

// argTables are the arguments of a function, which may be tables.
func argTables(r *ast.Rule) tables {
	out := tables{}
	for i, a := range r.Head.Args {
		if v, ok := a.Value.(ast.Var); ok {
			out[v] = ast.Ref{ast.VarTerm(string(r.Head.Name)), ast.IntNumberTerm(i)}
		}
	}
	return out
}

// of is the table that a term stands for, nil when it is none. What is looked up by
// a value that is known by then is an entry, and no table.
func (t tables) of(l *linter, x *ast.Term, left int) ast.Ref {
	switch v := x.Value.(type) {
	case ast.Var:
		return t[v]
	case ast.Ref:
		if head, ok := v[0].Value.(ast.Var); ok && t[head] != nil {
			return t[head].Concat(v[1:])
		}
		if l.isData(v) {
			return v
		}
		return l.behind(v, left)
	}
	return nil
}

// behind is the table that a reference reaches through a rule that is but another
// name for it.
func (l *linter) behind(v ast.Ref, left int) ast.Ref {
	for i := len(v); i > 2 && left > 0; i-- {
		rules := l.compiler.GetRulesExact(v[:i])
		if len(rules) != 1 || len(rules[0].Head.Args) > 0 || rules[0].Head.Value == nil {
			continue
		}
		inner := tables{}
		inner.fill(l, rules[0].Body, left-1)
		if t := inner.of(l, rules[0].Head.Value, left-1); t != nil {
			return t.Concat(v[i:])
		}
	}
	return nil
}

// fill adds what the variables of a body stand for.
func (t tables) fill(l *linter, body ast.Body, left int) {
	for _, e := range body {
		if !e.IsEquality() && !e.IsAssignment() || e.Negated {
			continue
		}
		for i := range 2 {
			v, isVar := e.Operand(i).Value.(ast.Var)
			if r := t.of(l, e.Operand(1-i), left); isVar && r != nil && t[v] == nil {
				t[v] = r
			}
		}
	}
}

// MaxElements is how many elements of short lists in the data a rule may look at for one
// call. Lists within each other multiply.
const MaxElements = 256

// iterations finds references that run through a document of data, in the order
// in which the body is evaluated. A decision must not get slower with the data, but for
// short lists of the teams: looks is how many of their elements have been looked at when
// the body is reached, and the result how many when it has been evaluated.
func (l *linter) iterations(body ast.Body, outer ast.VarSet, known tables, looks int) int {
	safe, here := outer.Copy(), maps.Clone(known)
	here.fill(l, body, deep)
	for _, e := range body {
		looks = l.inner(e, safe, here, looks)
		bound := ast.OutputVarsFromExpr(l.compiler, e, safe)
		if !nested(e) {
			ast.WalkRefs(e, func(r ast.Ref) bool {
				if table := here.of(l, ast.NewTerm(r), deep); len(r) > 1 && table != nil && unbound(table, safe) {
					looks = l.through(at(e, r), "the rule runs through ", table.GroundPrefix(), looks)
				}
				return false
			})
		}
		safe.Update(bound)
	}
	return looks
}

// nested reports whether an expression is made of bodies.
func nested(e *ast.Expr) bool {
	switch e.Terms.(type) {
	case *ast.Not, *ast.LogicalAnd, *ast.LogicalOr:
		return true
	}
	return false
}

// inner looks into the bodies of an expression, and at what its functions are given.
func (l *linter) inner(e *ast.Expr, safe ast.VarSet, here tables, looks int) int {
	switch t := e.Terms.(type) {
	case *ast.Not:
		l.iterations(t.Body, safe, here, looks)
		return looks
	case *ast.LogicalAnd:
		return l.iterations(t.Rhs, safe, here, l.iterations(t.Lhs, safe, here, looks))
	case *ast.LogicalOr:
		return max(l.iterations(t.Lhs, safe, here, looks), l.iterations(t.Rhs, safe, here, looks))
	case *ast.Every:
		l.iterations(t.Body, everyVars(t, safe), here, l.through(e.Location, "every runs through ", here.of(l, t.Domain, deep), looks))
		return looks
	}
	l.closures(e, safe, here, looks)
	if e.IsCall() {
		l.handed(e, here, looks)
	}
	return looks
}

// through notes that a rule runs through a table, unless the table is an entry that
// was looked up, which does not grow with the others. Of an argument it is the
// function's callers who say what it is. The result is how many elements have then been
// looked at.
func (l *linter) through(at *ast.Location, how string, table ast.Ref, looks int) int {
	switch {
	case table == nil || !constant(table):
		return looks
	case !table[0].Equal(ast.DefaultRootDocument):
		l.note(table)
		return looks
	case !table.HasPrefix(ast.MustParseRef("data.team")):
		l.add(at, "iteration", how+table.String()+", and gets slower with every entry",
			"key the data by what is looked up, as "+table.String()+"[input.principal.id], or over some ancestor in input.resource.ancestors; a short list may stand below team.<team>, or in the rule")
		return looks
	}
	size := sizeAt(l.data, table)
	l.lists[table.String()] = size
	return l.spend(at, how+table.String(), looks, size)
}

// spend multiplies what has been looked at, and notes when that is too much.
func (l *linter) spend(at *ast.Location, how string, looks, size int) int {
	all := looks * max(size, 1)
	if all <= MaxElements {
		return all
	}
	what := fmt.Sprintf("%s, which has %d elements", how, size)
	if looks > 1 {
		what = fmt.Sprintf("%s for each of %d others", what, looks)
	}
	l.add(at, "iteration", fmt.Sprintf("%s; a rule may look at %d for one call", what, MaxElements),
		"key the data by what is looked up, as data.team.<team>.allowed[input.principal.id], or over some ancestor in input.resource.ancestors; or keep the list short, and lists out of each other")
	return looks
}

// sizeAt is how many elements a document of the data has, those of long lists in it
// included.
func sizeAt(data map[string]any, table ast.Ref) int { return sizeOf(valueAt(data, table), 0) }

// valueAt is the document of the data that a reference is to, nil when there is none.
func valueAt(data map[string]any, ref ast.Ref) any {
	var v any = data
	for _, t := range ref[1:] {
		key, ok := t.Value.(ast.String)
		m, isTable := v.(map[string]any)
		if !ok || !isTable {
			return nil
		}
		v = m[string(key)]
	}
	return v
}

// window is how long a list may be to count as one element, as a window with its bounds.
const window = 4

func sizeOf(v any, depth int) (n int) {
	var inner []any
	switch v := v.(type) {
	case []any:
		inner = v
	case map[string]any:
		inner = slices.Collect(maps.Values(v))
	}
	if depth == 0 || len(inner) > window {
		n = len(inner)
	}
	for _, e := range inner {
		n += sizeOf(e, depth+1)
	}
	return n
}

// note remembers that a function runs through an argument.
func (l *linter) note(arg ast.Ref) {
	i, ok := arg[1].Value.(ast.Number).Int()
	if name := arg[0].String(); ok && len(arg) == 2 {
		if l.runs[name] == nil {
			l.runs[name] = map[int]bool{}
		}
		l.runs[name][i] = true
	}
}

// handed looks at the tables that a function is given whole.
func (l *linter) handed(e *ast.Expr, here tables, looks int) {
	name, args := e.Operator().String(), e.Operands()
	short := name[strings.LastIndexByte(name, '.')+1:]
	for i, a := range args {
		table := here.of(l, a, deep)
		switch {
		case table == nil:
		case name == "internal.member_2" && i == 1:
			l.scan(e, table, looks)
		case slices.Contains(runners(), name) || l.runs[short][i] && !isBuiltin(name):
			l.through(e.Location, name+" runs through ", table, looks)
		}
	}
	if cost := l.costs[short]; cost > 1 && !isBuiltin(name) {
		l.spend(e.Location, name+" runs through a list", looks, cost)
	}
}

// runners are the built-in functions that look at every entry of what they get.
func runners() []string {
	return []string{
		"object.keys", "object.filter", "object.remove", "object.union", "object.union_n", "union", "intersection",
		"array.concat", "array.reverse", "array.slice", "strings.any_prefix_match", "strings.any_suffix_match", "concat",
		"sort", "sum", "max", "min", "product", "minus", "and", "or", "json.filter", "json.marshal", "sprintf",
		"net.cidr_contains_matches", "internal.member_3",
	}
}

func isBuiltin(name string) bool { return ast.BuiltinMap[name] != nil }

func everyVars(e *ast.Every, safe ast.VarSet) ast.VarSet {
	out := safe.Copy()
	for _, t := range []*ast.Term{e.Key, e.Value} {
		if t != nil {
			if v, ok := t.Value.(ast.Var); ok {
				out.Add(v)
			}
		}
	}
	return out
}

// closures looks into comprehensions.
func (l *linter) closures(e *ast.Expr, safe ast.VarSet, here tables, looks int) {
	ast.WalkTerms(e, func(t *ast.Term) bool {
		switch c := t.Value.(type) {
		case *ast.ArrayComprehension:
			l.iterations(c.Body, safe, here, looks)
		case *ast.SetComprehension:
			l.iterations(c.Body, safe, here, looks)
		case *ast.ObjectComprehension:
			l.iterations(c.Body, safe, here, looks)
		default:
			return false
		}
		return true
	})
}

// scan looks at `x in data.list`, which compares one by one.
func (l *linter) scan(e *ast.Expr, list ast.Ref, looks int) {
	switch {
	case !list[0].Equal(ast.DefaultRootDocument) || !constant(list):
	case list.HasPrefix(ast.MustParseRef("data.team")):
		l.through(e.Location, "in compares with every entry of ", list, looks)
	default:
		l.warn(e.Location, "scan", "in compares with every entry of "+list.String(),
			"key the data by what is looked up, as "+list.String()+"[x], when the list can grow")
	}
}

// isData reports whether a reference is to data, and not to a rule.
func (l *linter) isData(r ast.Ref) bool {
	if !r[0].Equal(ast.DefaultRootDocument) || len(r) < 2 {
		return false
	}
	return len(l.compiler.GetRulesForVirtualDocument(r.GroundPrefix())) == 0 &&
		len(l.compiler.GetRulesWithPrefix(r.GroundPrefix())) == 0
}

// unbound reports whether a reference runs through a table: the first thing that is
// not written out in it is a variable that has no value yet.
func unbound(r ast.Ref, safe ast.VarSet) bool {
	for _, t := range r[1:] {
		if v, ok := t.Value.(ast.Var); ok {
			return !safe.Contains(v)
		}
		if !ast.IsConstant(t.Value) {
			return false
		}
	}
	return false
}

func constant(r ast.Ref) bool {
	for _, t := range r[1:] {
		if !ast.IsConstant(t.Value) {
			return false
		}
	}
	return true
}

func at(e *ast.Expr, r ast.Ref) *ast.Location {
	if e.Location != nil {
		return e.Location
	}
	return r[0].Location
}

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
