package policy

// DryRuns is how often a rule in dry run had something to say.
func DryRuns(rule string) uint64 { return dryRun(rule).Get() }
