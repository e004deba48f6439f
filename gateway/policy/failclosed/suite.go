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
	Build   bool        // try also what the embedded rules and schema decide alone, which a build has tried
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
	slow     program.Probe              // without the rule index
	alone    program.Probe              // without the team's rules
	nothing  program.Probe              // without data; of a build
	newest   program.Probe              // every rule as the newest Rego; nil where every rule is
	isWhole  func(map[string]any) error // of a build
	scoped   bool                       // the team's rules read the scopes
	base     *base                      // of the input that is tried
	near     int                        // inputs that the data nearly grant, of those that were spoilt
	refused  int                        // inputs that only a team's rule refuses, of those that were spoilt
	corpus   int                        // how many of the first inputs no rule of a team has a say in
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
	if r.Build {
		r.whole()
	}
	inputs, corpus := r.inputs()
	r.corpus = corpus
	r.report.Inputs = len(inputs)
	r.try(inputs)
	return r.report, ctx.Err()
}

func (r *runner) prepare() error {
	r.full, r.lax, r.slow = r.Program.Probe(program.Variant{}), r.Program.Probe(program.Variant{Lax: true}), r.Program.Probe(program.Variant{Unindexed: true})
	r.alone = r.full
	r.scoped = r.Program.TeamReads().Any("principal.scopes")
	others := r.others()
	errs := make([]error, len(others))
	r.each(len(others), func(i int) { errs[i] = others[i]() })
	return errors.Join(errs...)
}

// others compile the other programs that the policy is compared with. One that would be the
// policy itself is not.
func (r *runner) others() (out []func() error) {
	if len(r.Program.TeamModules()) > 0 {
		out = append(out, func() error {
			alone, err := r.Program.Alone(r.ctx, r.Core)
			r.alone = probe(alone, err)
			return err
		})
	}
	if !r.Program.IsNewest() {
		out = append(out, func() error {
			// A name may have become a keyword; then the lints have looked at every `not`.
			r.newest = probe(r.Program.Newest(r.ctx, r.Core))
			return nil
		})
	}
	if r.Build {
		out = append(out, func() (err error) {
			r.isWhole, err = program.Whole()
			return err
		}, func() error {
			nothing, err := program.Empty(r.ctx, r.Core)
			r.nothing = probe(nothing, err)
			return err
		})
	}
	return out
}

// probe asks a program as decisions are made, nil for one that does not compile.
func probe(p *program.Program, err error) program.Probe {
	if err != nil {
		return nil
	}
	return p.Probe(program.Variant{})
}

// inputs are the corpus, and an allowed call of each engine with each literal of
// the team's rules; and how many of them are the corpus.
func (r *runner) inputs() (out []raw, corpusLen int) {
	all := corpus(r.Program.Data, r.Ops)
	for _, in := range spread(all, r.Limit) {
		out = append(out, r.raw(in))
	}
	corpusLen = len(out)
	lits := literals(r.Program.TeamModules())
	if len(lits) == 0 {
		return out, corpusLen
	}
	var pairs []raw
	for _, sample := range r.samples(all) {
		for i, l := range lits {
			one := sample.with(l)
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

// raw is the input that the policy is asked, as JSON.
func (r *runner) raw(in document.Input) raw { return rawOf(r.Program.Completed(&in)) }

// samples are an allowed call of each engine, in the order of their names.
func (r *runner) samples(inputs []document.Input) []raw {
	byEngine := map[string][]document.Input{}
	for _, in := range inputs {
		byEngine[in.Action.Engine] = append(byEngine[in.Action.Engine], in)
	}
	engines := slices.Sorted(maps.Keys(byEngine))
	out := make([]raw, len(engines))
	r.each(len(engines), func(i int) {
		for _, in := range byEngine[engines[i]] {
			if v := r.raw(in); r.allows(r.alone, v) {
				out[i] = v
				return
			}
		}
	})
	return slices.DeleteFunc(out, func(v raw) bool { return v == nil })
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
func spread[E any](list []E, n int) []E {
	if n == 0 || len(list) <= n {
		return list
	}
	out := make([]E, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// answer is an answer without the error: an evaluation that fails denies.
func (r *runner) answer(p program.Probe, in raw) document.Output {
	out, err := p(r.ctx, r.base.value(in))
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
