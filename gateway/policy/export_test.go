package policy

import "context"

// DryRuns is how often a rule in dry run had something to say.
func DryRuns(rule string) uint64 { return dryRun(rule).Get() }

// Looker looks at the sources of an engine once, as Watch does every few seconds.
func Looker(e *Engine) func(ctx context.Context) {
	var active, candidate settled
	return func(ctx context.Context) { e.turn(ctx, &active, &candidate) }
}
