package changes

import "github.com/VictoriaMetrics/metrics"

var records = metrics.NewCounter("portcullis_audit_tap_records_total")
