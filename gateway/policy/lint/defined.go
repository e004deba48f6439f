package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// A rule whose conditions hold must speak. What it reports is evaluated after them, and
// where a part of that has no value, the evaluator leaves the whole entry out: a denial
// that is left out allows. So everything that goes into an entry, in the rule itself and
// in the helpers that it uses, must have a value whenever the conditions hold. An error in
// it is no such hole: the evaluator is strict, and the call is denied.

// reports judges the rules that emit.
type reports struct {
	*linter
	judged map[*ast.Rule]bool
}

// ruleName is the name under which the linter keeps the rules of a package.
func ruleName(pkg ast.Ref, name string) string {
	parts := make([]string, 0, len(pkg)+1)
	for _, t := range pkg {
		switch v := t.Value.(type) {
		case ast.Var:
			parts = append(parts, string(v))
		case ast.String:
			parts = append(parts, string(v))
		}
	}
	return strings.Join(append(parts, name), ".")
}

// scopeOf is the scope of a rule of a team.
func (l *linter) scopeOf(r *ast.Rule, depth int) *scope {
	l.scopes++
	return &scope{names: l.namesOf(l.modules[r], r), id: l.scopes, bound: map[ast.Var]argument{}, facts: facts{}, depth: depth}
}

// speaks wants a rule that emits to speak whenever its conditions hold.
func (l *linter) speaks(r *ast.Rule) {
	x := &reports{l, map[*ast.Rule]bool{}}
	x.judge(r)
}

// judge wants the head of a rule to be defined when its conditions hold, and those of the
// helpers that go into it.
func (x *reports) judge(r *ast.Rule) {
	if x.judged[r] || r.Default {
		return
	}
	x.judged[r] = true
	s := x.scopeOf(r, 0)
	if missing := x.head(s, r); missing != nil {
		x.add(missing.at, "reason", "what the rule reports may be undefined when its conditions hold, as "+missing.what+" is: the rule is then skipped, which allows", missing.cure())
	}
}

// gap is a part of a report that may have no value.
type gap struct {
	what string
	at   *ast.Location
	path []string // of a reference
}

func (g *gap) cure() string {
	switch {
	case len(g.path) == 0:
		return "give the helper a default, or an else without a condition; or make it a condition of its own, if the rule is only for calls where it has a value"
	case strings.HasPrefix(strings.Join(g.path, "."), "input."):
		return "make " + g.what + " a condition of its own, if the rule is only for calls that have it; else write it in a template, as $\"… {" + g.what + "}\", which has a value without it too, or take object.get with a default"
	}
	return "use a text, or let a condition of the rule make the same lookup"
}

// head is what may be missing of the head of a rule whose conditions hold.
func (x *reports) head(s *scope, r *ast.Rule) *gap {
	direct := emitted(r)
	conditions, made := s.split(r)
	s.learn(conditions)
	for _, e := range conditions {
		x.feeds(s, e)
	}
	for _, e := range made {
		if v, t := assigned(e); direct[v] && x.decides(s, t) {
			s.learnFrom(e)
			x.helpers(s, t)
		}
	}
	for _, e := range made {
		if _, t := assigned(e); !s.there(t) {
			if g := x.defined(s, t); g != nil {
				g.at = e.Location
				return g
			}
		}
	}
	for _, t := range []*ast.Term{r.Head.Key, r.Head.Value} {
		if t != nil {
			if g := x.defined(s, t); g != nil {
				g.at = r.Location
				return g
			}
		}
	}
	return nil
}

// feeds judges the rules whose entries a condition runs through or takes by name: what is
// made of them goes into the report.
func (x *reports) feeds(s *scope, e *ast.Expr) {
	d, ok := e.Terms.(*ast.SomeDecl)
	if !ok {
		if _, t := assigned(e); t != nil {
			x.helpers(s, t)
		}
		return
	}
	for _, symbol := range d.Symbols {
		if call, ok := symbol.Value.(ast.Call); ok {
			x.helpers(s, call[len(call)-1])
		}
	}
}

// helpers judges the rules that a reference, or a call, is to.
func (x *reports) helpers(s *scope, t *ast.Term) {
	name := t
	if c, ok := t.Value.(ast.Call); ok {
		name = c[0]
	}
	path := s.canonical(name)
	for i := len(path); i > 3; i-- {
		for _, r := range x.rules[strings.Join(path[:i], ".")] {
			for ; r != nil && len(r.Head.Args) == 0; r = r.Else {
				x.judge(r)
			}
		}
	}
}

// decides reports whether a term that is reported as it is decides by itself whether the
// rule speaks: an entry of a table, or a helper with conditions, as in
// `why := data.team.t.frozen[x]` and `why := problem`.
func (x *reports) decides(s *scope, t *ast.Term) bool {
	name, args := t, []*ast.Term(nil)
	if c, ok := t.Value.(ast.Call); ok {
		name, args = c[0], c[1:]
	}
	path := s.canonical(name)
	rules := x.rules[strings.Join(path, ".")]
	for _, a := range args {
		if x.defined(s, a) != nil {
			return false
		}
	}
	for _, r := range rules {
		for ; r != nil; r = r.Else {
			in := s.enter(r, nil)
			if conditions, _ := in.split(r); len(conditions) == 0 {
				return false
			}
		}
	}
	return len(rules) > 0
}

func (s *scope) looksUpData(t *ast.Term) bool {
	path := s.canonical(t)
	return len(path) > 1 && path[0] == "data" && s.linter.ruleAt(path) == 0
}

// ruleAt is how many parts of a path name a rule of a team, 0 for none.
func (l *linter) ruleAt(path []string) int {
	for i := len(path); i > 3; i-- {
		if len(l.rules[strings.Join(path[:i], ".")]) > 0 {
			return i
		}
	}
	return 0
}

// there reports whether a reference has a value whenever the conditions hold.
func (s *scope) there(t *ast.Term) bool {
	path := s.canonical(t)
	if path == nil {
		return false
	}
	if s.facts[strings.Join(path, step)] || len(path) == 1 {
		return true
	}
	switch {
	case path[0] == "input":
		return document.Always(path[1:], func(null int) bool { return s.facts.below(path[:null+1]) })
	case path[0] == "data" && s.linter.ruleAt(path) == 0:
		return inData(s.linter.data, path[1:])
	}
	return strings.HasPrefix(path[len(path)-1], "*") // an element that is run through
}

// inData reports whether the data have what is at a path that is written out.
func inData(v any, path []string) bool {
	for _, key := range path {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[key]
			if !ok {
				return false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(at) {
				return false
			}
			v = at[i]
		default:
			return false
		}
	}
	return true
}

// defined is what may be missing of a term, nil when it has a value whenever the
// conditions hold.
func (x *reports) defined(s *scope, t *ast.Term) *gap {
	switch v := t.Value.(type) {
	case ast.Var:
		return x.variable(s, v, t)
	case ast.Ref:
		return x.reference(s, v, t)
	case ast.Call:
		return x.call(s, v)
	case *ast.Array:
		for i := range v.Len() {
			if g := x.defined(s, v.Elem(i)); g != nil {
				return g
			}
		}
	case ast.Set:
		for _, e := range v.Slice() {
			if g := x.defined(s, e); g != nil {
				return g
			}
		}
	case ast.Object:
		for _, k := range v.Keys() {
			if g := x.defined(s, k); g != nil {
				return g
			}
			if g := x.defined(s, v.Get(k)); g != nil {
				return g
			}
		}
	}
	return nil // a constant, a template, or a comprehension
}

func (x *reports) variable(s *scope, v ast.Var, t *ast.Term) *gap {
	if a, ok := s.bound[v]; ok {
		return x.defined(a.in, a.term)
	}
	if s.imported(v) == nil && (len(s.vars[v]) > 0 || s.argument(v) >= 0 || !s.local(v)) {
		return nil // what a condition binds, or a part of the report that is judged by itself
	}
	return x.path(s, t)
}

func (x *reports) reference(s *scope, ref ast.Ref, t *ast.Term) *gap {
	for _, key := range ref[1:] {
		if g := x.defined(s, key); g != nil {
			return g
		}
	}
	if c, ok := ref[0].Value.(ast.Call); ok {
		if g := x.call(s, c); g != nil {
			return g
		}
		if c[0].String() == "split" && len(ref) == 2 && ref[1].Equal(ast.IntNumberTerm(0)) {
			return nil // there always is a first part
		}
	}
	return x.path(s, t)
}

// path is the gap of a reference, or a name for one.
func (x *reports) path(s *scope, t *ast.Term) *gap {
	if s.there(t) {
		return nil
	}
	path := s.canonical(t)
	if n := x.ruleAt(path); n > 0 {
		return x.rule(s, path, n, t)
	}
	return &gap{what: t.String(), path: path}
}

// rule is the gap of a rule, or of something in its value.
func (x *reports) rule(s *scope, path []string, n int, t *ast.Term) *gap {
	rules := x.rules[strings.Join(path[:n], ".")]
	for _, r := range rules {
		for e := r; e != nil; e = e.Else {
			x.judge(e)
		}
	}
	whole := rules[0].Head.RuleKind() == ast.MultiValue || len(rules[0].Head.Ref()) > 1 // a set or an object, if need be an empty one
	switch {
	case whole && len(path) == n:
		return nil
	case !whole && x.total(s, rules, nil) && (len(path) == n || x.holdsField(rules, path[n:])):
		return nil
	}
	return &gap{what: t.String()}
}

// holdsField reports whether every value of a rule is an object with a field.
func (x *reports) holdsField(rules []*ast.Rule, path []string) bool {
	for _, r := range rules {
		for ; r != nil; r = r.Else {
			o, ok := r.Head.Value.Value.(ast.Object)
			if !ok || len(path) != 1 || o.Get(ast.StringTerm(path[0])) == nil {
				return false
			}
		}
	}
	return true
}

// total reports whether one of some rules always has a value.
func (x *reports) total(s *scope, rules []*ast.Rule, args []*ast.Term) bool {
	if s.depth >= deep {
		return false
	}
	for _, r := range rules {
		if len(r.Head.Args) != len(args) || !open(r) {
			continue
		}
		sound := true
		for ; r != nil && sound; r = r.Else {
			in := s.enter(r, args)
			conditions, _ := in.split(r)
			met := !slices.ContainsFunc(conditions, func(e *ast.Expr) bool { return said(e) == "" || e.Negated || !s.facts[said(e)] })
			sound = x.head(in, r) == nil
			if sound && (met || r.Default) {
				return true
			}
		}
	}
	return false
}

// open reports whether a function takes any arguments.
func open(r *ast.Rule) bool {
	for _, a := range r.Head.Args {
		if _, ok := a.Value.(ast.Var); !ok {
			return false
		}
	}
	return true
}

// call is the gap of a call. What fails is an error, which denies; a few functions have
// no value for some arguments.
func (x *reports) call(s *scope, c ast.Call) *gap {
	for _, a := range c[1:] {
		if g := x.defined(s, a); g != nil {
			return g
		}
	}
	switch name := c[0].String(); {
	case name == "max" || name == "min":
		if list := c[1]; s.longEnough(list) {
			return nil
		}
	case name == "uuid.parse":
	case isBuiltin(name):
		return nil
	default:
		if x.total(s, x.rules[strings.Join(s.canonical(c[0]), ".")], c[1:]) {
			return nil
		}
		return &gap{what: "a call of " + name}
	}
	return &gap{what: ast.NewTerm(c).String()}
}

// longEnough reports whether a list has an element for certain.
func (s *scope) longEnough(list *ast.Term) bool {
	switch v := list.Value.(type) {
	case *ast.Array:
		return v.Len() > 0
	case ast.Set:
		return v.Len() > 0
	}
	path := s.canonical(list)
	if path == nil {
		path = []string{s.own(list.String())}
	}
	return s.facts[strings.Join(append(path[:len(path):len(path)], "0"), step)]
}
