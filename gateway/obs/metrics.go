package obs

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// buckets are the upper bounds of durations, in seconds.
func buckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5}
}

// Meter counts calls and requests. Its labels come from closed sets: operations,
// codes, transports, route patterns, methods and statuses.
type Meter struct {
	set      *metrics.Set
	stages   []*metrics.PrometheusHistogram // by op.Stage
	calls    sync.Map                       // callKey -> *metrics.Counter
	times    sync.Map                       // op name -> *metrics.PrometheusHistogram
	requests sync.Map                       // requestKey -> requestMeters
	counts   sync.Map                       // labelled -> *metrics.Counter

	whole, public sharedPage

	InFlight   *metrics.Counter
	Correlated *metrics.Counter
}

// stageTimes makes the histograms of the parts of a call, most of which take less than a
// millisecond.
func stageTimes(s *metrics.Set) (out []*metrics.PrometheusHistogram) {
	bounds := []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, .25, 1, 5}
	for _, name := range op.StageNames() {
		out = append(out, s.NewPrometheusHistogramExt(fmt.Sprintf("portcullis_call_stage_duration_seconds{stage=%q}", name), bounds))
	}
	return out
}

type callKey struct{ op, transport, code string }

type requestKey struct {
	method, route string
	status        int
}

type requestMeters struct {
	total *metrics.Counter
	time  *metrics.PrometheusHistogram
}

// NewMeter makes a meter with a set of its own.
func NewMeter() *Meter {
	s := metrics.NewSet()
	return &Meter{
		set:        s,
		stages:     stageTimes(s),
		InFlight:   s.NewCounter("http_requests_in_progress"),
		Correlated: s.NewCounter("http_requests_with_correlation_total"),
	}
}

// Call counts one call. Operations that do not exist share one label, so that a
// caller cannot make labels up.
func (m *Meter) Call(r *op.Record) {
	name := "unknown"
	if r.Bound != nil {
		name = r.Bound.Op.Name
	}
	k := callKey{name, string(r.Request.Transport), r.Code()}
	c, ok := m.calls.Load(k)
	if !ok {
		c, _ = m.calls.LoadOrStore(k, m.set.GetOrCreateCounter(fmt.Sprintf(
			"portcullis_calls_total{op=%q,transport=%q,code=%q}", k.op, k.transport, k.code)))
	}
	c.(*metrics.Counter).Inc()
	m.decision(r)
	h, ok := m.times.Load(name)
	if !ok {
		h, _ = m.times.LoadOrStore(name, m.set.GetOrCreatePrometheusHistogramExt(
			fmt.Sprintf("portcullis_call_duration_seconds{op=%q}", name), buckets()))
	}
	h.(*metrics.PrometheusHistogram).Update(r.Total.Seconds())
	for i, took := range r.Times {
		if took > 0 { // a stage that the call went through
			m.stages[i].Update(took.Seconds())
		}
	}
}

// decision counts what was decided about a call, what its tier refused, and what the
// read cache did for it.
func (m *Meter) decision(r *op.Record) {
	if r.Decision.ID != "" {
		m.count("portcullis_decisions_total", "outcome", outcome(r))
	}
	if r.Err != nil && r.Err.Code == call.RateLimited {
		m.count("portcullis_rate_limited_total", "tier", r.Decision.Tier)
	}
	if r.Cache.Asked {
		m.count("portcullis_read_cache_total", "result", map[bool]string{true: "hit", false: "miss"}[r.Cache.Hit])
	}
}

func outcome(r *op.Record) string {
	switch {
	case r.Decision.Allow:
		return "allowed"
	case r.Err != nil && (r.Err.Code == call.PolicyError || r.Err.Code == call.PolicyTimeout):
		return "failed"
	}
	return "denied"
}

// labelled is a counter of the family with one label.
type labelled struct{ family, value string }

// count counts in a family with one label, whose values are a closed set.
func (m *Meter) count(family, label, value string) {
	k := labelled{family, value}
	c, ok := m.counts.Load(k)
	if !ok {
		c, _ = m.counts.LoadOrStore(k, m.set.GetOrCreateCounter(fmt.Sprintf("%s{%s=%q}", family, label, value)))
	}
	c.(*metrics.Counter).Inc()
}

// Request counts one HTTP request.
func (m *Meter) Request(method, route string, status int, d time.Duration) {
	k := requestKey{method, route, status}
	v, ok := m.requests.Load(k)
	if !ok {
		labels := fmt.Sprintf("{method=%q,route=%q,status=\"%d\"}", method, route, status)
		v, _ = m.requests.LoadOrStore(k, requestMeters{
			m.set.GetOrCreateCounter("http_requests_total" + labels),
			m.set.GetOrCreatePrometheusHistogramExt("http_request_duration_seconds"+labels, buckets()),
		})
	}
	rm := v.(requestMeters)
	rm.total.Inc()
	rm.time.Update(d.Seconds())
}

// Gauge registers a value that is read when the page is.
func (m *Meter) Gauge(name string, f func() float64) { m.set.NewGauge(name, f) }

// WritePrometheus writes the page in Prometheus' text format.
func (m *Meter) WritePrometheus(w io.Writer) {
	m.whole.write(w, func(w io.Writer) { m.write(w, func(string) bool { return false }) })
}

// WritePublic writes the page without what names callers, for a listener that anybody
// reaches.
func (m *Meter) WritePublic(w io.Writer) {
	m.public.write(w, func(w io.Writer) { m.write(w, namesCallers) })
}

func (m *Meter) write(w io.Writer, skip func(family string) bool) {
	var page bytes.Buffer
	m.set.WritePrometheus(&page)
	metrics.WritePrometheus(&page, true)
	expose(w, page.Bytes(), skip)
}

// Build registers the version, which dashboards join on.
func (m *Meter) Build(version string) {
	m.set.NewGauge(fmt.Sprintf("portcullis_build_info{version=%q,go=%q}", version, runtime.Version()), func() float64 { return 1 })
}
