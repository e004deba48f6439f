package lint

import (
	"cmp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/program"
)

// Rule is a rule of a team that emits something, by its id.
type Rule struct {
	ID   string
	File string
	Line int
}

// linter looks at the team's modules of one program.
type linter struct {
	compiler *ast.Compiler
	found    program.Findings
	ids      map[string]Rule
}

// Check looks at every rule that was added to the embedded ones. It returns what
// is wrong, and the rules that emit, for which there must be tests.
func Check(p *program.Program) (program.Findings, []Rule) {
	l := &linter{compiler: p.Compiler(), ids: map[string]Rule{}}
	for title, m := range p.TeamModules() {
		l.shape(m)
		for _, r := range m.Rules {
			l.written(m, r)
		}
		for _, r := range l.compiler.Modules[title].Rules {
			l.compiled(r)
		}
	}
	slices.SortFunc(l.found, func(a, b program.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Msg, b.Msg))
	})
	rules := make([]Rule, 0, len(l.ids))
	for _, r := range l.ids {
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return slices.Compact(l.found), rules
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
func (l *linter) written(m *ast.Module, r *ast.Rule) {
	safe := hasSafeNot(m)
	vis := ast.NewGenericVisitor(func(x any) bool {
		e, ok := x.(*ast.Expr)
		if !ok {
			return false
		}
		if e.Negated && !safe {
			l.negation(e)
		}
		if len(e.With) > 0 {
			l.add(e.Location, "with", "with replaces a document outside a test", "use with in *_test.rego alone")
		}
		return false
	})
	vis.Walk(r)
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if c, ok := t.Value.(ast.Call); ok {
			l.call(t.Location, c[0], c[1:])
		}
		return false
	})
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		if e.IsCall() {
			l.call(e.Location, ast.NewTerm(e.Operator()), e.Operands())
		}
		return false
	})
}

// call checks the use of a function.
func (l *linter) call(at *ast.Location, name *ast.Term, args []*ast.Term) {
	switch name.String() {
	case "object.get":
		if len(args) > 0 && reads(args[0], ast.InputRootDocument) {
			l.add(at, "object-get-input", "object.get on the input hides a misspelt field behind its default",
				"write input.… directly: every field is always there, and the schema then finds typos")
		}
	case "startswith":
		l.prefix(at, args)
	}
}

// prefix wants a path prefix to end on a segment boundary.
func (l *linter) prefix(at *ast.Location, args []*ast.Term) {
	if len(args) != 2 || args[0].String() != "input.resource.path" {
		return
	}
	s, ok := args[1].Value.(ast.String)
	if ok && (s == "" || s[len(s)-1] == '/') {
		return
	}
	l.add(at, "prefix-boundary", "the prefix check also matches siblings: team10/x starts with team1",
		`write "team1" in input.resource.ancestors, which compares whole segments`)
}

// compiled checks a rule as it runs.
func (l *linter) compiled(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		l.iterations(r.Body, argVars(r))
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
