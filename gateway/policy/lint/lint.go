package lint

import (
	"cmp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/program"
)

// Rule is a rule of a team that emits something, by its id.
type Rule struct {
	ID   string `json:"id"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// linter looks at the team's modules of one program.
type linter struct {
	compiler *ast.Compiler
	values   Values
	ops      []*op.Op
	found    program.Findings
	ids      map[string]Rule
	given    map[callee][]source     // what functions are called with
	runs     map[string]map[int]bool // arguments that functions run through
	made     map[*ast.Rule]*names
	steps    int // taken by written
	scopes   int // made by scopeOf

	data    map[string]any
	owned   map[string]map[string][]string // parts of teams, by team and engine
	modules map[*ast.Rule]*ast.Module      // of the teams' rules, their else branches included
	rules   map[string][]*ast.Rule         // of the teams, by ruleName
	asks    map[string]facts               // what rules ask for, see scope.helper
	costs   map[string]int                 // elements of lists that functions look at
	lists   map[string]int                 // in the data that are run through, with their elements
}

// Check looks at every rule that was added to the embedded ones. It returns what
// is wrong, and the rules that emit, for which there must be tests.
func Check(p *program.Program, ops []*op.Op) (program.Findings, []Rule) {
	l := look(p, ops)
	rules := make([]Rule, 0, len(l.ids))
	for _, r := range l.ids {
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(l.found), rules
}

// Lists are the lists in the data that rules run through for a call, with how many
// elements they have: at most MaxElements.
func Lists(p *program.Program) map[string]int { return look(p, nil).lists }

// look looks at every rule of the teams.
func look(p *program.Program, ops []*op.Op) *linter {
	l := &linter{compiler: p.Compiler(), values: valuesOf(ops, p), ops: ops, ids: map[string]Rule{}, given: map[callee][]source{}, runs: map[string]map[int]bool{}}
	l.index(p)
	all := map[*ast.Rule]*names{}
	for title, m := range p.TeamModules() {
		for _, r := range m.Rules {
			all[r] = l.namesOf(m, r)
			l.calls(all[r])
		}
		for _, r := range l.compiler.Modules[title].Rules {
			l.compiled(r) // once for what functions run through, below for what is found
		}
	}
	l.found = nil
	for title, m := range p.TeamModules() {
		l.shape(m, all)
		for _, r := range m.Rules {
			l.written(m, r, all[r])
			l.impossible(r)
		}
		for _, r := range l.compiler.Modules[title].Rules {
			l.compiled(r)
		}
	}
	slices.SortFunc(l.found, func(a, b program.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Msg, b.Msg))
	})
	return l
}

// index notes where the rules of teams are, by their names.
func (l *linter) index(p *program.Program) {
	l.data, l.owned, l.modules, l.rules = p.Data.Document(), p.Data.Owned(), map[*ast.Rule]*ast.Module{}, map[string][]*ast.Rule{}
	l.asks, l.costs, l.lists = map[string]facts{}, map[string]int{}, map[string]int{}
	for _, m := range p.TeamModules() {
		for _, r := range m.Rules {
			head, _ := r.Head.Ref()[0].Value.(ast.Var)
			name := ruleName(m.Package.Path, string(head))
			l.rules[name] = append(l.rules[name], r)
			for e := r; e != nil; e = e.Else {
				l.modules[e] = m
			}
		}
	}
}

// add notes a finding.
func (l *linter) add(at *ast.Location, check, msg, cure string) {
	f := program.Finding{Check: check, Msg: msg, Cure: cure}
	if at != nil {
		f.File, f.Line = at.File, at.Row
	}
	l.found = append(l.found, f)
}

// warn notes a finding that does not keep the policy from being used.
func (l *linter) warn(at *ast.Location, check, msg, cure string) {
	l.add(at, check, msg, cure)
	l.found[len(l.found)-1].Warning = true
}

// written checks a rule as it was written.
func (l *linter) written(m *ast.Module, r *ast.Rule, n *names) {
	safe := hasSafeNot(m)
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Call:
			l.call(n, x[0].Location, x[0].String(), x[1:])
		case *ast.Not:
			if len(x.Body) == 1 {
				l.never(n, x.Body[0])
			}
		case *ast.Expr:
			if x.Negated {
				l.never(n, x)
			}
			if x.Negated && !safe {
				l.negation(n, x)
			}
			if len(x.With) > 0 {
				l.add(x.Location, "with", "with replaces a document outside a test", "use with in *_test.rego alone")
			}
			if x.IsCall() {
				l.call(n, x.Location, x.Operator().String(), x.Operands())
			}
		}
		return false
	}).Walk(r)
}

// call checks the use of a function.
func (l *linter) call(n *names, at *ast.Location, name string, args []*ast.Term) {
	switch name {
	case "object.get":
		if len(args) == 3 && n.hides(args[0], args[1]) {
			l.add(at, "object-get-input", "object.get on the input hides a misspelt field behind its default",
				"write input.… directly: every field is always there, and the schema then finds typos")
		}
	}
	l.beginning(n, at, name, args)
}

// hides reports whether a field of the input is looked up in a way that the schema
// does not see. The arguments' values have no schema.
func (n *names) hides(object, key *ast.Term) bool {
	if v, ok := object.Value.(ast.Var); ok && n.argument(v) >= 0 {
		for _, s := range n.sources(v) {
			if s.in != n && s.in.hides(s.term, key) {
				return true
			}
		}
		return false
	}
	p, ok := n.path(object, deep)
	if !ok {
		return n.readsInput(object, deep)
	}
	if !p[0].Equal(ast.InputRootDocument) {
		return false
	}
	open := ast.MustParseRef("input.args.values")
	if list, ok := key.Value.(*ast.Array); ok && p.Equal(ast.InputRootRef) && list.Len() > 2 {
		p = ast.InputRootRef.Concat([]*ast.Term{list.Elem(0), list.Elem(1)})
	}
	return !p.HasPrefix(open)
}

// compiled checks a rule as it runs.
func (l *linter) compiled(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		looks := l.iterations(r.Body, argVars(r), argTables(r), 1)
		if name := string(r.Head.Name); len(r.Head.Args) > 0 && looks > l.costs[name] {
			l.costs[name] = looks
		}
		l.indexed(r)
	}
}

func argVars(r *ast.Rule) ast.VarSet {
	safe := ast.ReservedVars.Copy()
	for _, a := range r.Head.Args {
		ast.WalkVars(a, func(v ast.Var) bool { safe.Add(v); return false })
	}
	return safe
}

// reads reports whether a reference to the document is anywhere in x.
func reads(x any, doc *ast.Term) bool {
	found := false
	ast.WalkRefs(x, func(r ast.Ref) bool {
		found = found || r[0].Equal(doc)
		return found
	})
	return found
}
