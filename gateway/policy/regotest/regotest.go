package regotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// Options say what to run.
type Options struct {
	Run     string        // regular expression of the names, empty for all
	Timeout time.Duration // of one test, 5 s
}

// Report is what came of the tests.
type Report struct {
	Results  []*tester.Result
	Coverage cover.Report
}

// Failed counts the tests that failed, erred or were skipped: a test that is put
// off proves nothing.
func (r Report) Failed() int {
	n := 0
	for _, t := range r.Results {
		if !t.Pass() || t.Skip {
			n++
		}
	}
	return n
}

// Run runs the tests of the bundles against the program's rules and data.
func Run(ctx context.Context, p *program.Program, o Options, bundles ...*bundle.Bundle) (Report, error) {
	modules, err := modules(p, bundles)
	if err != nil {
		return Report{}, err
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	txn, err := p.Store().NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return Report{}, fmt.Errorf("run the policy's tests: %w", err)
	}
	defer p.Store().Abort(ctx, txn)
	covered := cover.New()
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(program.Capabilities())).
		SetStore(p.Store()).SetModules(modules).SetTimeout(o.Timeout).
		RaiseBuiltinErrors(true).SetCoverageQueryTracer(covered).Filter(o.Run).
		RunTests(ctx, txn)
	if _, ok := errors.AsType[ast.Errors](err); ok {
		return Report{}, program.CompileFindings(err)
	}
	if err != nil {
		return Report{}, fmt.Errorf("run the policy's tests: %w", err)
	}
	var r Report
	for t := range results {
		r.Results = append(r.Results, t)
	}
	slices.SortFunc(r.Results, func(a, b *tester.Result) int { return a.Location.Compare(b.Location) })
	r.Coverage = covered.Report(p.Modules())
	return r, nil
}

// modules are the program's and the tests.
func modules(p *program.Program, bundles []*bundle.Bundle) (map[string]*ast.Module, error) {
	out := map[string]*ast.Module{}
	for title, m := range p.Modules() {
		out[title] = m
	}
	for _, b := range bundles {
		for _, f := range b.Tests {
			title := b.Title(f.Name)
			m, err := program.ParseFile(title, f.Text, ast.RegoV1)
			if err != nil {
				return nil, program.CompileFindings(err)
			}
			out[title] = m
		}
	}
	return out, nil
}
