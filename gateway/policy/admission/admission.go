package admission

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/failclosed"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
)

// Report is what a check found.
type Report struct {
	Findings program.Findings
	Rules    []lint.Rule
	Tests    regotest.Report
	Suite    failclosed.Report
}

// Options say what a policy is held against.
type Options struct {
	Ops []*op.Op // the catalogue
	// Transform says why a decision may not ask for a transform of an operation, as
	// transform.Nameable; nil for whoever does not know.
	Transform func(op, name string, args map[string]any) error
	Manifest  bool               // Transform knows the operator's modules
	Workers   int                // how many inputs of the suite are tried at once; 0 for one
	Progress  func(done, of int) // is called with how many inputs of the suite have been tried. Optional
	Within    time.Duration      // how long the check may take; MaxTime when it is 0
	// Ended is called when nothing of a check goes on any more, which is after Check where
	// that was out of time. Optional.
	Ended func()
}

// activation is how many inputs of the corpus are tried before a policy becomes
// active: enough for what the policy itself says, as its own literals come on top. Data
// without a rule of its own are tried on fewer: what decides about them has stood the whole
// suite when it was built.
const (
	activation       = 64
	activationOfData = 16
)

// Check checks a team's bundle over the core. Without a team's bundle the core is
// only compiled: its tests and the suite belong to the build. The program is nil
// when it does not even compile; the error is one of the check itself.
func Check(ctx context.Context, core, team *bundle.Bundle, o Options) (*program.Program, Report, error) {
	ctx, done := withHeapLimit(ctx, maxGrowth)
	defer done()
	w := &Work{For: o.Within}
	if team != nil {
		w.Place = team.Place
	}
	type checked struct {
		p *program.Program
		r Report
	}
	c, err := Within(ctx, w, "to compile its rules", func(ctx context.Context) (c checked, err error) {
		if o.Ended != nil {
			defer o.Ended()
		}
		c.p, c.r, err = w.check(ctx, core, team, o)
		return c, err
	})
	slow, late := errors.AsType[program.Findings](err)
	switch {
	case errors.Is(context.Cause(ctx), errMemory):
		slow = program.Findings{{
			File: w.Place, Check: "memory", Msg: fmt.Sprintf("to check the policy takes more than %d MiB of memory", maxGrowth>>20),
			Cure: "let no rule multiply a text or a list",
		}}
	case !late:
		return c.p, c.r, err
	}
	c.r.Findings = append(c.r.Findings, slow...)
	return nil, c.r, nil
}

func (w *Work) check(ctx context.Context, core, team *bundle.Bundle, o Options) (*program.Program, Report, error) {
	var r Report
	p, err := program.Compile(ctx, core, team)
	if fs, ok := errors.AsType[program.Findings](err); ok {
		r.Findings = fs
		return nil, r, nil
	}
	if err != nil || team == nil {
		return p, r, err
	}
	w.Now("to look at its rules")
	r.Findings, r.Rules = lint.Check(p, o.Ops)
	r.Findings = append(r.Findings, unread(team)...)
	r.Findings = append(r.Findings, names(p, team, o.Ops)...)
	r.Findings = append(r.Findings, o.transforms(p, team)...)
	r.Findings = append(r.Findings, lint.TestInputs(p, team)...)
	w.Now("to run its tests")
	if err := r.tests(ctx, p, team); err != nil {
		return nil, r, err
	}
	limit := activation
	if len(team.Rules) == 0 {
		limit = activationOfData
	}
	w.Now("to try inputs on it")
	suite := failclosed.Suite{Core: core, Program: p, Ops: o.Ops, Rules: r.Rules, Limit: limit, Workers: o.Workers, Progress: o.Progress}
	if r.Suite, err = suite.Run(ctx); err != nil {
		return nil, r, err
	}
	r.Findings = append(r.Findings, r.Suite.Findings...)
	return p, r, nil
}

// tests runs the bundle's own tests. Every rule must be reached by one of them.
func (r *Report) tests(ctx context.Context, p *program.Program, team *bundle.Bundle) error {
	if len(team.Rules)+len(team.Tests) == 0 {
		return nil
	}
	var err error
	r.Tests, err = regotest.Run(ctx, p, regotest.Options{}, team)
	if fs, ok := errors.AsType[program.Findings](err); ok {
		for _, f := range fs {
			f.Check = "tests"
			r.Findings = append(r.Findings, f)
		}
		return nil
	}
	if err != nil {
		r.Findings = append(r.Findings, program.Finding{
			File: team.Place, Check: "tests", Msg: err.Error(), Cure: "write tests that compile",
		})
		return nil
	}
	for _, t := range r.Tests.Results {
		if t.Pass() && !t.Skip {
			continue
		}
		f := program.Finding{Check: "tests", Msg: fmt.Sprintf("%s does not pass", t.Name), Cure: "repair the rule or its test"}
		if t.Location != nil {
			f.File, f.Line = t.Location.File, t.Location.Row
		}
		r.Findings = append(r.Findings, f)
	}
	for _, rule := range r.Rules {
		if !r.Tests.Coverage.IsCovered(rule.File, rule.Line) {
			r.Findings = append(r.Findings, program.Finding{
				File: rule.File, Line: rule.Line, Check: "test", Msg: "no test makes " + rule.ID + " speak",
				Cure: "write a test_… in a *_test.rego with an input for which the rule holds",
			})
		}
	}
	return r.checkMutants(ctx, p, team)
}

// checkMutants wants a test to fail when the rules of a package say nothing, or when they
// say too much: tests that pass either way assert nothing about them.
func (r *Report) checkMutants(ctx context.Context, p *program.Program, team *bundle.Bundle) error {
	if r.Tests.Failed() > 0 || len(r.Rules) == 0 {
		return nil
	}
	first := map[string]lint.Rule{} // of a package, that a test reaches
	for _, rule := range r.Rules {
		pkg := p.Modules()[rule.File].Package.Path.String()
		if _, there := first[pkg]; !there && r.Tests.Coverage.IsCovered(rule.File, rule.Line) {
			first[pkg] = rule
		}
	}
	unnoticed, err := regotest.Mutants(ctx, p, slices.Sorted(maps.Keys(first)), team)
	for _, pkg := range unnoticed {
		r.Findings = append(r.Findings, program.Finding{
			File: first[pkg].File, Line: first[pkg].Line, Check: "test", Msg: "the tests pass whatever " + pkg + " says: they assert nothing about it",
			Cure: "compare what the rule emits with what it should, as count(data.policy.deny.<team>.deny) == 1",
		})
	}
	return err
}
