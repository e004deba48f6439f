package server

import "github.com/VictoriaMetrics/metrics"

var (
	connsRefused = metrics.NewCounter("portcullis_connections_refused_total")
	connsEvicted = metrics.NewCounter("portcullis_connections_evicted_total")
)
