package obs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/obs"
)

// spanCount reads a counter of spans from the page.
func spanCount(t *testing.T, what string) (n int) {
	t.Helper()
	var page bytes.Buffer
	metrics.WritePrometheus(&page, false)
	name := "portcullis_trace_spans_" + what + "_total"
	for line := range strings.Lines(page.String()) {
		if _, err := fmt.Sscanf(line, name+" %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no %s on the page", name)
	return 0
}

// TestSpansThatAreLostAreCounted: a collector that does not answer costs no call, no more
// spans wait for it than have room, and each of the others is counted.
func TestSpansThatAreLostAreCounted(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	tracer, err := obs.NewTracer(t.Context(), obs.TraceConfig{Endpoint: s.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	sent, lost, rec := spanCount(t, "sent"), spanCount(t, "lost"), traced()
	const calls, each = 1000, 3 // that of the call, and those of its two stages
	for range calls {
		tracer.Call(rec)
	}
	if got := spanCount(t, "lost") - lost; got != calls*each-2048 {
		t.Errorf("%d spans are counted as lost while 2048 may wait, want %d", got, calls*each-2048)
	}
	close(release)
	if err := tracer.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := spanCount(t, "sent") - sent; got != 2048 {
		t.Errorf("%d spans were sent, want 2048", got)
	}
}

// TestACollectorThatIsAwayIsToldOnceAMinute: at a thousand calls a second there is more than
// a batch of spans a second.
func TestACollectorThatIsAwayIsToldOnceAMinute(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	var log bytes.Buffer
	tracer, err := obs.NewTracer(t.Context(), obs.TraceConfig{Endpoint: s.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	lost, rec := spanCount(t, "lost"), traced()
	for range 600 { // three batches and more
		tracer.Call(rec)
	}
	_ = tracer.Close(context.Background()) // what it says is logged
	if n := strings.Count(log.String(), "traces could not be sent"); n != 1 || spanCount(t, "lost")-lost != 1800 {
		t.Errorf("%d records for %d lost spans: %s", n, spanCount(t, "lost")-lost, &log)
	}
}
