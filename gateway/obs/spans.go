package obs

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

var (
	spansSent = metrics.NewCounter("portcullis_trace_spans_sent_total")
	spansLost = metrics.NewCounter("portcullis_trace_spans_lost_total")
)

// maxSpans is how many spans may wait for the collector, as many as a batch processor
// has room for. What it drops itself it counts nowhere, so nothing more is given to it.
const maxSpans = sdktrace.DefaultMaxQueueSize

// counted counts the spans that a collector has taken, and those that it will not get:
// because too many wait, or because they could not be sent in time.
type counted struct {
	sdktrace.SpanProcessor // that sends in batches, through exporter
	waiting                *atomic.Int64
}

func newCounted(to sdktrace.SpanExporter) counted {
	waiting := new(atomic.Int64)
	return counted{sdktrace.NewBatchSpanProcessor(countingExporter{to, waiting}), waiting}
}

// OnEnd passes a span on that was sampled, where there is room.
func (c counted) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if c.waiting.Add(1) > maxSpans {
		c.waiting.Add(-1)
		spansLost.Inc()
		return
	}
	c.SpanProcessor.OnEnd(s)
}

type countingExporter struct {
	sdktrace.SpanExporter
	waiting *atomic.Int64
}

// ExportSpans counts what becomes of a batch.
func (c countingExporter) ExportSpans(ctx context.Context, batch []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, batch)
	c.waiting.Add(-int64(len(batch)))
	if err != nil {
		spansLost.Add(len(batch))
		return err
	}
	spansSent.Add(len(batch))
	return nil
}

// tellEvery is how often a collector that stays away is logged.
const tellEvery = time.Minute

// collectorErrors logs why spans could not be sent: at once, and every minute while that
// goes on.
type collectorErrors struct {
	log *slog.Logger

	mu   sync.Mutex // guards told
	told time.Time
}

// Handle implements otel.ErrorHandler.
func (c *collectorErrors) Handle(err error) {
	c.mu.Lock()
	tell := time.Since(c.told) >= tellEvery
	if tell {
		c.told = time.Now()
	}
	c.mu.Unlock()
	if tell {
		c.log.Warn("traces could not be sent and are lost; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector", "cause", err, "spans_lost", spansLost.Get())
	}
}
