package redis

import "github.com/VictoriaMetrics/metrics"

var (
	up       = metrics.NewGauge("portcullis_store_up", nil)
	failures = metrics.NewCounter("portcullis_store_failures_total")
)
