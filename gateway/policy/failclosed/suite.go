package failclosed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// Suite is what is tried on a policy.
type Suite struct {
	Core    *bundle.Bundle
	Program *program.Program
	Ops     []*op.Op
	Rules   []lint.Rule // the team's rules, to say where one is
	Pairs   bool        // spoil two fields at once as well
	Limit   int         // how many inputs of the corpus are tried, evenly spread; 0 for all
	Workers int         // how many inputs are tried at once; 0 for one

	Progress func(done, of int) // is called with how many inputs have been tried. Optional
}

// Report is what came of it.
type Report struct {
	Findings program.Findings
	Inputs   int            // that were made
	Checks   map[string]int // evaluations by check
}

// runner holds the probes of one run.
type runner struct {
	Suite
	ctx      context.Context
	full     program.Probe // as decisions are made
	lax      program.Probe
	slow     program.Probe // without the rule index
	alone    program.Probe // without the team's rules
	nothing  program.Probe // without data
	newest   program.Probe // every rule as the newest Rego
	isWhole  func(map[string]any) error
	scoped   bool // the team's rules read the scopes
	near     int  // inputs that the data nearly grant, of those that were spoilt
	refused  int  // inputs that only a team's rule refuses, of those that were spoilt
	corpus   int  // how many of the first inputs no rule of a team has a say in
	report   Report
	reported map[place]bool
}

// place is what a check is reported of once.
type place struct {
	check, file string
	line        int
}

// Run tries everything. The error is one of the suite, not of the policy.
func (s Suite) Run(ctx context.Context) (Report, error) {
	r := &runner{Suite: s, ctx: ctx, report: Report{Checks: map[string]int{}}, reported: map[place]bool{}}
	if err := r.prepare(); err != nil {
		return r.report, fmt.Errorf("prepare the fail-closed suite: %w", err)
	}
	r.whole()
	inputs, corpus := r.inputs()
	r.corpus = corpus
	r.report.Inputs = len(inputs)
	r.try(inputs)
	return r.report, ctx.Err()
}

func (r *runner) prepare() error {
	var alone, newest, nothing *program.Program
	var errs [3]error
	r.each(len(errs)+1, func(i int) {
		switch i {
		case 0:
			alone, errs[i] = r.Program.Alone(r.ctx, r.Core)
		case 1:
			nothing, errs[i] = program.Empty(r.ctx, r.Core)
		case 2:
			r.isWhole, errs[i] = program.Whole()
		default:
			var err error
			if newest, err = r.Program.Newest(r.ctx, r.Core); err != nil {
				newest = r.Program // a name that has become a keyword; the lints have looked at every `not`
			}
		}
	})
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	r.scoped = r.Program.TeamReads().Any("principal.scopes")
	for _, p := range []struct {
		to   *program.Probe
		from *program.Program
		v    program.Variant
	}{
		{&r.full, r.Program, program.Variant{}},
		{&r.lax, r.Program, program.Variant{Lax: true}},
		{&r.slow, r.Program, program.Variant{Unindexed: true}},
		{&r.alone, alone, program.Variant{}},
		{&r.nothing, nothing, program.Variant{}},
		{&r.newest, newest, program.Variant{}},
	} {
		*p.to = p.from.Probe(p.v)
	}
	return nil
}

// inputs are the corpus, and an allowed call of each engine with each literal of
// the team's rules; and how many of them are the corpus.
func (r *runner) inputs() (out []raw, corpusLen int) {
	samples := map[string]raw{}
	for _, in := range corpus(r.Program.Data, r.Ops) {
		v := rawOf(r.Program.Completed(&in))
		out = append(out, v)
		if _, there := samples[in.Action.Engine]; !there && r.allows(r.alone, v) {
			samples[in.Action.Engine] = v
		}
	}
	out = spread(out, r.Limit)
	corpusLen = len(out)
	lits := literals(r.Program.TeamModules())
	var pairs []raw
	for _, engine := range slices.Sorted(maps.Keys(samples)) {
		for i, l := range lits {
			one := samples[engine].with(l)
			out = append(out, one)
			for _, m := range lits[:min(i, 2*few)] {
				if !slices.Equal(l.path, m.path) || inList(one, l) {
					pairs = append(pairs, one.with(m))
				}
			}
		}
	}
	return append(out, spread(pairs, manyPairs*r.Limit)...), corpusLen
}

// inList reports whether a literal was added to a list, and so has not taken the place
// of another.
func inList(in raw, l literal) bool {
	_, is := at(in, l.path).([]any)
	return is
}

// manyPairs bounds how many pairs of literals are tried, by the limit of the corpus: a
// policy of many rules must not take minutes to become active.
const manyPairs = 16

// spread takes n of a list, evenly.
func spread(list []raw, n int) []raw {
	if n == 0 || len(list) <= n {
		return list
	}
	out := make([]raw, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// answer is an answer without the error: an evaluation that fails denies.
func (r *runner) answer(p program.Probe, in raw) document.Output {
	out, err := p(r.ctx, in.value())
	if err != nil {
		return document.Output{}
	}
	return out
}

func (r *runner) allows(p program.Probe, in raw) bool { return r.answer(p, in).Allow }

// count counts an evaluation of a check.
func (r *runner) count(check string) { r.report.Checks[check]++ }

// fail reports a check once for each place.
func (r *runner) fail(check string, at *ast.Location, msg, cure string) {
	f := program.Finding{File: "policies/gateway", Line: 1, Check: check, Msg: msg, Cure: cure}
	if at == nil {
		at = r.anywhere() // the embedded rules stand the suite by themselves
	}
	if at != nil {
		f.File, f.Line = at.File, at.Row
	}
	r.found(f)
}

// found keeps a finding, unless its place has one of that check.
func (r *runner) found(f program.Finding) {
	if at := (place{f.Check, f.File, f.Line}); !r.reported[at] {
		r.reported[at] = true
		r.report.Findings = append(r.report.Findings, f)
	}
}

// where finds the rule that one answer names and the other does not.
func (r *runner) where(a, b document.Output) *ast.Location {
	named := map[string]bool{}
	for _, x := range b.Reasons {
		named[x.Rule] = true
	}
	for _, x := range a.Reasons {
		for _, rule := range r.Rules {
			if rule.ID == x.Rule && !named[x.Rule] {
				return &ast.Location{File: rule.File, Row: rule.Line}
			}
		}
	}
	return r.anywhere()
}

// anywhere is the first of the team's files.
func (r *runner) anywhere() *ast.Location {
	if t := r.Program.Team; t != nil && len(t.Rules) > 0 {
		return &ast.Location{File: t.Title(t.Rules[0].Name), Row: 1}
	}
	return nil
}

func describe(in raw) string {
	text := func(p ...string) string { return fmt.Sprint(at(in, p)) }
	return strings.Join([]string{
		text("principal", "id"), text("action", "op"), fmt.Sprintf("%q", text("resource", "path")),
	}, " ")
}
