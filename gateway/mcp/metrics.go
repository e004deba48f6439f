package mcp

import "github.com/VictoriaMetrics/metrics"

var (
	openSessions = metrics.NewCounter("portcullis_mcp_sessions")
	panics       = metrics.NewCounter("portcullis_mcp_panics_total")
)
