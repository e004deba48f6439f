package vault

import (
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

var (
	notifications = metrics.NewCounter("portcullis_vault_notifications_total")
	opened        = metrics.NewCounter("portcullis_vault_breaker_opened_total")
	malformed     = metrics.NewCounter("portcullis_vault_notifications_malformed_total")
)

// requestSeconds are the times of requests to Vault by method.
var requestSeconds = [...]*metrics.PrometheusHistogram{
	wire.Get:    requestTimes("get"),
	wire.Put:    requestTimes("put"),
	wire.Post:   requestTimes("post"),
	wire.Patch:  requestTimes("patch"),
	wire.Delete: requestTimes("delete"),
}

func requestTimes(method string) *metrics.PrometheusHistogram {
	return metrics.NewPrometheusHistogramExt(fmt.Sprintf("portcullis_vault_call_duration_seconds{method=%q}", method),
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10})
}

// meters count the requests of one client by what came of them.
type meters struct{ codes sync.Map } // call.Code -> *metrics.Counter

// request counts a request to Vault; the codes are a closed set.
func (m *meters) request(r wire.Request, err error, took time.Duration) {
	code := call.Code("ok")
	if e := call.AsError(err); e != nil {
		code = e.Code
	}
	c, ok := m.codes.Load(code)
	if !ok {
		c, _ = m.codes.LoadOrStore(code, metrics.GetOrCreateCounter(fmt.Sprintf("portcullis_vault_calls_total{code=%q}", code)))
	}
	c.(*metrics.Counter).Inc()
	requestSeconds[r.Method].Update(took.Seconds())
}

// Callers is how many callers the client holds something for, or has seen.
func (c *Client) Callers() int { return len(c.callers.List()) }
