package policy

import (
	"context"
	"slices"
	"time"

	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/retry"
)

// DryRuns is how often a rule in dry run had something to say.
func DryRuns(rule string) uint64 { return dryRun(rule).Get() }

// Looker looks at the sources of an engine once, as Watch does every few seconds.
func Looker(e *Engine) func(ctx context.Context) {
	active, candidate := settled{path: e.cfg.Dir}, settled{path: e.cfg.Shadow}
	return func(ctx context.Context) { e.turn(ctx, &active, &candidate) }
}

// Take makes a policy the active one of engines, without the checks that a policy stands
// before: the properties of decisions hold for every policy that compiles. It is compiled
// once for all of them.
func Take(ctx context.Context, team *bundle.Bundle, engines ...*Engine) error {
	p, err := program.Compile(ctx, engines[0].core, team)
	if err != nil {
		return err
	}
	for _, e := range engines {
		e.activate(e.snapshot(p, team), "")
	}
	return nil
}

// Slow has the checks of policies with such a file take two minutes, unless they are given up.
func Slow(e *Engine, file string) {
	e.admit = func(ctx context.Context, core, team *bundle.Bundle, o admission.Options) (*program.Program, admission.Report, error) {
		if slices.ContainsFunc(team.Tests, func(f bundle.File) bool { return f.Name == file }) {
			retry.Sleep(ctx, 2*time.Minute)
		}
		return admission.Check(ctx, core, team, o)
	}
}

// GivenUp makes so many more checks go on that nobody waits for.
func GivenUp(e *Engine, n int) { e.checks.Add(int32(n)) }

// CheckWithin bounds the checks of an engine from now on.
func CheckWithin(e *Engine, d time.Duration) { e.cfg.CheckWithin = d }
