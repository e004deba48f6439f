package server

import "github.com/VictoriaMetrics/metrics"

var (
	connsRefused  = metrics.NewCounter("portcullis_connections_refused_total")
	configReloads = metrics.NewCounter(`portcullis_config_reloads_total{result="ok"}`)
	configRefused = metrics.NewCounter(`portcullis_config_reloads_total{result="refused"}`)
	connsSlowed   = metrics.NewCounter("portcullis_connections_slowed_total")
	connsEvicted  = metrics.NewCounter("portcullis_connections_evicted_total")
)
