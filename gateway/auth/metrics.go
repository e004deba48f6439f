package auth

import (
	"strconv"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

var (
	limited     = metrics.NewCounter("portcullis_auth_limited_total")
	okKey       = metrics.NewCounter(`portcullis_auth_accepted_total{method="api_key"}`)
	okJWT       = metrics.NewCounter(`portcullis_auth_accepted_total{method="jwt"}`)
	okMTLS      = metrics.NewCounter(`portcullis_auth_accepted_total{method="mtls"}`)
	reloads     = metrics.NewCounter("portcullis_auth_reloads_total")
	reloadFails = metrics.NewCounter("portcullis_auth_reload_failures_total")
)

func accepted(m call.Method) *metrics.Counter {
	switch m {
	case call.APIKey:
		return okKey
	case call.JWT:
		return okJWT
	}
	return okMTLS
}

// refused counts by rule, a closed set.
func refused(r rule.Rule) *metrics.Counter {
	return metrics.GetOrCreateCounter("portcullis_auth_refused_total{rule=" + strconv.Quote(string(r)) + "}")
}
