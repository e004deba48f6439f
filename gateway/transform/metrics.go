package transform

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/transform/guest"
)

// Counters of the package. Module names come from the manifest, hooks and
// results from closed sets.
var (
	reloads       = metrics.NewCounter(`portcullis_transform_reloads_total{result="ok"}`)
	reloadsFailed = metrics.NewCounter(`portcullis_transform_reloads_total{result="failed"}`)
)

// moduleMetrics are looked up once, when a module is loaded.
type moduleMetrics struct {
	name       string
	ok, failed [guest.Response + 1]*metrics.Counter
	fuel       *metrics.Counter
}

func newModuleMetrics(name string) *moduleMetrics {
	m := &moduleMetrics{name: name}
	for h := guest.Log; h <= guest.Response; h++ {
		m.ok[h] = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_calls_total{module=%q,hook=%q,result="ok"}`, name, h))
		m.failed[h] = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_calls_total{module=%q,hook=%q,result="failed"}`, name, h))
	}
	m.fuel = metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_fuel_total{module=%q}`, name))
	return m
}

// done counts one call.
func (m *moduleMetrics) done(h guest.Hook, fuel int64, err error) {
	m.fuel.AddInt64(fuel)
	if err != nil {
		m.failed[h].Inc()
		return
	}
	m.ok[h].Inc()
}
