package regotest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/tester"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// Mutants returns those of the packages about whose rules no test asserts anything:
// every test passes when the rules say nothing, and when they say too much. The
// packages are those of modules, as data.policy.deny.payments.
func Mutants(ctx context.Context, p *program.Program, packages []string, bundles ...*bundle.Bundle) ([]string, error) {
	w, err := newWrongs(ctx, p, packages, bundles)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(packages), func(pkg string) bool { return w.noticed(ctx, pkg) }), nil
}

// wrongs is the program with its tests, compiled so that the rules of a package can
// be made wrong for one run.
type wrongs struct {
	*program.Program
	compiler *ast.Compiler
	tests    map[string][]*ast.Rule // that depend on a package, those that depend on least first
}

// What the rules of a package can be made to do.
const (
	silent = "silent" // say nothing
	loud   = "loud"   // say too much
)

// newWrongs compiles once for all packages, because one compilation takes as long as
// thousands of tests.
func newWrongs(ctx context.Context, p *program.Program, packages []string, bundles []*bundle.Bundle) (*wrongs, error) {
	modules, err := modules(p, bundles)
	if err != nil {
		return nil, err
	}
	for title, m := range modules {
		if pkg := m.Package.Path.String(); slices.Contains(packages, pkg) {
			modules[title] = switched(m, pkg)
		}
	}
	caps := program.Capabilities()
	caps.Builtins = append(caps.Builtins, ast.OPARuntime)
	w := &wrongs{Program: p, compiler: ast.NewCompiler().WithCapabilities(caps), tests: map[string][]*ast.Rule{}}
	none := tester.NewRunner().SetCompiler(w.compiler).SetStore(p.Store()).SetModules(modules).Filter("^$")
	if _, err := none.RunTests(ctx, nil); err != nil {
		return nil, fmt.Errorf("compile the tests: %w", err)
	}
	w.depend(packages)
	return w, nil
}

// switched is a module whose entry rules do as the runtime document says, the only
// one that no test replaces.
func switched(m *ast.Module, pkg string) *ast.Module {
	m = m.Copy()
	opts := ast.ParserOptions{RegoVersion: ast.RegoV1}
	guard := fmt.Sprintf(`object.get(opa.runtime(), %q, "") == ""`, pkg)
	entry := ast.Var("")
	for _, r := range m.Rules {
		if !isEntry(r) {
			continue
		}
		entry = r.Head.Name
		r.Body = append(ast.MustParseBodyWithOpts(guard, opts), r.Body...)
		for i, e := range r.Body {
			e.Index = i
		}
	}
	if entry == "" {
		return m
	}
	added := ast.MustParseRuleWithOpts(fmt.Sprintf(`%s contains {"code": x, "msg": x, "rule": x} if {
		object.get(opa.runtime(), %q, "") == %q
		some x in ["wrong 1", "wrong 2", "wrong 3", "wrong 4", "wrong 5", "wrong 6", "wrong 7"]
	}`, entry, pkg, loud), opts)
	added.Module = m
	m.Rules = append(m.Rules, added)
	return m
}

// isEntry reports whether the gateway reads a rule, if its package is a team's.
func isEntry(r *ast.Rule) bool {
	return (r.Head.Name == "deny" || r.Head.Name == "obligation") && r.Head.RuleKind() == ast.MultiValue
}

// depend finds the tests whose results can depend on each package.
func (w *wrongs) depend(packages []string) {
	uses := map[*ast.Rule]int{}
	for _, m := range w.compiler.Modules {
		pkg := m.Package.Path.String()
		if !slices.Contains(packages, pkg) || w.tests[pkg] != nil {
			continue
		}
		found := map[*ast.Rule]bool{}
		for _, r := range w.compiler.GetRulesWithPrefix(m.Package.Path) {
			w.dependents(r, found)
		}
		for r := range found {
			if isTest(r) {
				w.tests[pkg] = append(w.tests[pkg], r)
				uses[r]++
			}
		}
	}
	for pkg, tests := range w.tests {
		slices.SortFunc(tests, func(a, b *ast.Rule) int {
			return cmp.Or(cmp.Compare(uses[a], uses[b]), -cmp.Compare(alike(a, pkg), alike(b, pkg)), a.Location.Compare(b.Location))
		})
	}
}

// isTest reports whether a rule is a test, which may have cases: test_x[case].
func isTest(r *ast.Rule) bool {
	return slices.ContainsFunc(r.Head.Ref().GroundPrefix(), func(t *ast.Term) bool {
		return strings.HasPrefix(strings.Trim(t.Value.String(), `"`), tester.TestPrefix)
	})
}

// alike is how much of a test's package is the package's.
func alike(r *ast.Rule, pkg string) int {
	test := r.Module.Package.Path.String()
	n := 0
	for n < len(test) && n < len(pkg) && test[n] == pkg[n] {
		n++
	}
	return n
}

// dependents collects the rules whose results can depend on a rule.
func (w *wrongs) dependents(r *ast.Rule, found map[*ast.Rule]bool) {
	if found[r] {
		return
	}
	found[r] = true
	for d := range w.compiler.Graph.Dependents(r) {
		if rule, ok := d.(*ast.Rule); ok {
			w.dependents(rule, found)
		}
	}
}

// noticed reports whether a test fails when the package is wrong.
func (w *wrongs) noticed(ctx context.Context, pkg string) bool {
	for _, test := range w.tests[pkg] {
		if w.fails(ctx, test, pkg, silent) || w.fails(ctx, test, pkg, loud) {
			return true
		}
	}
	return false
}

func (w *wrongs) fails(ctx context.Context, test *ast.Rule, pkg, how string) bool {
	txn, err := w.Store().NewTransaction(ctx)
	if err != nil {
		return false
	}
	defer w.Store().Abort(ctx, txn)
	results, err := tester.NewRunner().SetCompiler(w.compiler).SetStore(w.Store()).SetTimeout(time.Second).RaiseBuiltinErrors(true).
		SetPrefixMatchers(test.Ref().GroundPrefix()).
		SetRuntime(ast.ObjectTerm(ast.Item(ast.StringTerm(pkg), ast.StringTerm(how)))).
		RunTests(ctx, txn)
	if err != nil {
		return false
	}
	failed := false
	for r := range results {
		failed = failed || !r.Pass()
	}
	return failed
}
