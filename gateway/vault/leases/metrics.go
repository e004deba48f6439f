package leases

import (
	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/call"
)

var (
	issued  = metrics.NewCounter(`portcullis_leases_total{event="issued"}`)
	renewed = metrics.NewCounter(`portcullis_leases_total{event="renewed"}`)
	revoked = metrics.NewCounter(`portcullis_leases_total{event="revoked"}`)
	failed  = metrics.NewCounter(`portcullis_leases_total{event="failed"}`)
)

// count counts what became of a lease. That it has ended already is no failure.
func count(err error, done *metrics.Counter) {
	switch {
	case err == nil:
		done.Inc()
	case !call.Is(err, call.NotFound):
		failed.Inc()
	}
}
