package callers

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// CountToken counts a token that Vault was asked for: the gateway's own ("login"), or one
// of a kind that callers get ("batch", "service").
func CountToken(kind string, err error) {
	if err != nil {
		failed(kind).Inc()
		return
	}
	metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_vault_tokens_total{kind=%q,result=\"ok\"}", kind)).Inc()
}

// failed is the counter of failures. An alert watches it with increase(), which does not
// see the first step of a counter that begins with it, so New makes them all.
func failed(kind string) *metrics.Counter {
	return metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_vault_tokens_total{kind=%q,result=\"failed\"}", kind))
}
