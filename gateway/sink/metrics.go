package sink

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// meters count what became of the lines of one sink. The label is the scheme and host
// of a sink that is configured.
type meters struct{ lines, lost, failures *metrics.Counter }

func newMeters(name string) meters {
	counter := func(family string) *metrics.Counter {
		return metrics.GetOrCreateCounter(fmt.Sprintf("%s{sink=%q}", family, name))
	}
	return meters{counter("portcullis_audit_sink_lines_total"), counter("portcullis_audit_sink_lost_total"), counter("portcullis_audit_sink_failures_total")}
}

// Gauges registers what waits for each sink and whether it takes lines.
func (s *Sinks) Gauges(gauge func(name string, f func() float64)) {
	for _, o := range s.all {
		add := func(family string, f func(Status) float64) {
			gauge(fmt.Sprintf("%s{sink=%q}", family, o.target.name), func() float64 { return f(o.status()) })
		}
		add("portcullis_audit_sink_up", func(s Status) float64 {
			if s.Up {
				return 1
			}
			return 0
		})
		add("portcullis_audit_sink_waiting_lines", func(s Status) float64 { return float64(s.Waiting) })
		add("portcullis_audit_sink_memory_bytes", func(s Status) float64 { return float64(s.Memory) })
		add("portcullis_audit_sink_spool_bytes", func(s Status) float64 { return float64(s.Disk) })
	}
}
