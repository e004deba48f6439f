package callers

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// CountToken counts a token that Vault was asked for: the gateway's own ("login"), or one
// of a kind that callers get ("batch", "service").
func CountToken(kind string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_vault_tokens_total{kind=%q,result=%q}", kind, result)).Inc()
}
