package policy

import (
	"context"
	"time"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// DryRuns is how often a rule in dry run had something to say.
func DryRuns(rule string) uint64 { return dryRun(rule).Get() }

// Looker looks at the sources of an engine once, as Watch does every few seconds.
func Looker(e *Engine) func(ctx context.Context) {
	var active, candidate settled
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

// CheckWithin bounds the checks of an engine from now on.
func CheckWithin(e *Engine, d time.Duration) { e.cfg.CheckWithin = d }
