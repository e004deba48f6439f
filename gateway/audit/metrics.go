package audit

import "github.com/VictoriaMetrics/metrics"

// failures counts records that could not be written.
var failures = metrics.NewCounter("portcullis_audit_failures_total")
