package policy

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// dryRun counts the calls of which a rule in dry run would have spoken. Rules are named
// by the policy, never by a caller.
func dryRun(rule string) *metrics.Counter {
	return metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_policy_dry_run_total{rule=%q}", rule))
}

// shadowed counts what a shadow would have answered: same, would_deny,
// would_allow or other.
func shadowed(diff string) *metrics.Counter {
	return metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_policy_shadow_total{diff=%q}", diff))
}

// canaryDecisions counts what a candidate has decided for callers.
func canaryDecisions(allow bool) *metrics.Counter {
	answer := "deny"
	if allow {
		answer = "allow"
	}
	return metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_policy_canary_decisions_total{answer=%q}", answer))
}

// canaryShare is the share of callers for whom a candidate decides.
func canaryShare() *metrics.Gauge {
	return metrics.GetOrCreateGauge("portcullis_policy_canary_ratio", nil)
}

// What came of new policies, and of new candidates. Both results are there from the start:
// of a counter that begins with its first step, increase() does not see that step.
var (
	reloads        = metrics.NewCounter(`portcullis_policy_reloads_total{result="ok"}`)
	refused        = metrics.NewCounter(`portcullis_policy_reloads_total{result="refused"}`)
	shadowReloads  = metrics.NewCounter(`portcullis_policy_shadow_reloads_total{result="ok"}`)
	shadowsRefused = metrics.NewCounter(`portcullis_policy_shadow_reloads_total{result="refused"}`)
)

// What a decision was answered from.
var (
	evaluated     = metrics.NewCounter(`portcullis_policy_decisions_total{from="evaluation"}`)
	fromCache     = metrics.NewCounter(`portcullis_policy_decisions_total{from="cache"}`)
	failures      = metrics.NewCounter("portcullis_policy_failures_total")
	evalSeconds   = metrics.NewPrometheusHistogramExt("portcullis_policy_evaluation_seconds", []float64{.00002, .00005, .0001, .0002, .0005, .001, .0025, .005, .01, .025})
	logDropped    = metrics.NewCounter("portcullis_policy_log_dropped_total")
	canaryReturns = metrics.NewCounter("portcullis_policy_canary_returns_total")
	shadowDrops   = metrics.NewCounter("portcullis_policy_shadow_dropped_total")
)
