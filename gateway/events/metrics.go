package events

import "github.com/VictoriaMetrics/metrics"

var (
	streams = metrics.NewCounter("portcullis_event_streams")
	cutOff  = metrics.NewCounter("portcullis_event_streams_cut_off_total")
)

var byKind = map[Kind]*metrics.Counter{
	ResourceChanged: metrics.NewCounter(`portcullis_events_total{kind="resource.changed"}`),
	ToolCompleted:   metrics.NewCounter(`portcullis_events_total{kind="tool.completed"}`),
	ToolsChanged:    metrics.NewCounter(`portcullis_events_total{kind="tools.changed"}`),
	PromptsChanged:  metrics.NewCounter(`portcullis_events_total{kind="prompts.changed"}`),
}

func published(e Event) { byKind[e.Kind].Inc() }
