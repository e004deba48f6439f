package limit

import "github.com/VictoriaMetrics/metrics"

var (
	stoodIn = metrics.NewCounter(`portcullis_limit_without_store_total{answer="local"}`)
	denied  = metrics.NewCounter(`portcullis_limit_without_store_total{answer="denied"}`)
)
