package vault

import "github.com/VictoriaMetrics/metrics"

var (
	notifications = metrics.NewCounter("portcullis_vault_notifications_total")
	malformed     = metrics.NewCounter("portcullis_vault_notifications_malformed_total")
)
