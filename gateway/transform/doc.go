// Package transform changes what passes through the gateway: log records,
// arguments and results. It can only take away or rewrite, never add trust:
// without a manifest it consists of the native built-ins, and every module that
// a manifest adds runs metered, isolated and pinned to its digest.
//
// A [Set] holds the current [Generation] of modules. A call pins it when the
// decision is made, makes a [Plan] from the names in the decision, and applies
// that plan to the result, whatever is loaded in between:
//
//	g := set.Pin()
//	defer g.Release()
//	plan, err := g.Plan(call, obligations) // before Vault: an error denies
//	out, steps, err := plan.Apply(result)  // after Vault: an error is a 502
//
// Failures are closed. A log line is never written without the base redactor.
package transform
