package obs_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"portcullis/gateway/obs"
)

// TestPageIsPrometheus: Prometheus' own parser reads the page, finds the types that
// the metrics have, and its linter has nothing to say of ours.
func TestPageIsPrometheus(t *testing.T) {
	m := obs.NewMeter()
	m.Request("GET", "/secrets/*path", 200, 3*time.Millisecond)
	m.Request("GET", "/secrets/*path", 404, time.Millisecond)
	m.Gauge("portcullis_vault_away", func() float64 { return 0 })
	m.Build("1.2.3")
	var page bytes.Buffer
	m.WritePrometheus(&page)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{
		"http_requests_total": "COUNTER", "http_request_duration_seconds": "HISTOGRAM", "http_requests_in_progress": "GAUGE",
		"portcullis_vault_away": "GAUGE", "portcullis_build_info": "GAUGE", "go_gc_duration_seconds": "SUMMARY", "go_goroutines": "GAUGE",
	} {
		f := families[name]
		if f == nil || f.GetType().String() != kind || f.GetHelp() == "" {
			t.Errorf("%s: got %v, want a %s with help", name, f, kind)
		}
	}
	if n := len(families["http_request_duration_seconds"].GetMetric()[0].GetHistogram().GetBucket()); n < 5 {
		t.Errorf("the histogram has %d buckets", n)
	}
	problems, err := promlint.New(bytes.NewReader(page.Bytes())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !foreign(p.Metric) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// foreign reports whether a metric's name is not ours to choose.
func foreign(name string) bool {
	return len(name) > 3 && (name[:3] == "go_" || len(name) > 8 && name[:8] == "process_")
}
