package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"portcullis/gateway/op"
)

// TraceConfig says where traces go. The fields are OpenTelemetry's own settings
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
type TraceConfig struct {
	Endpoint   string   // OTEL_EXPORTER_OTLP_ENDPOINT: base URL of a collector; empty for no traces
	Headers    []string // OTEL_EXPORTER_OTLP_HEADERS: name=value, percent-encoded
	Sampler    string   // OTEL_TRACES_SAMPLER
	SamplerArg string   // OTEL_TRACES_SAMPLER_ARG: the ratio, 0 to 1
	Service    string   // OTEL_SERVICE_NAME
	Attributes []string // OTEL_RESOURCE_ATTRIBUTES: key=value, percent-encoded
	Version    string   // of the gateway
}

// Tracer makes the spans of calls. They are made when a call has ended, from the
// times that its record holds anyway, so tracing costs a call nothing while it runs.
// Arguments and results are in no span. A nil Tracer makes none.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	sampler  sdktrace.Sampler
	context  propagation.TraceContext
}

// maxAttribute bounds an attribute that the caller has written, in bytes.
const maxAttribute = 512

// Scope is the instrumentation scope of the spans.
const Scope = "portcullis/gateway"

// NewTracer connects to nothing: spans are sent in batches, and dropped and counted when
// the collector is away or slow for long. log hears of that. It returns nil without an endpoint.
func NewTracer(ctx context.Context, c TraceConfig, log *slog.Logger) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	sampler, err := c.sampler()
	headers, err2 := pairs("OTEL_EXPORTER_OTLP_HEADERS", c.Headers)
	attrs, err3 := pairs("OTEL_RESOURCE_ATTRIBUTES", c.Attributes)
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(strings.TrimSuffix(c.Endpoint, "/")+"/v1/traces"), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	otel.SetErrorHandler(&collectorErrors{log: log})
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(newCounted(exporter)), sdktrace.WithSampler(sampler), sdktrace.WithIDGenerator(ids{}), sdktrace.WithResource(c.resource(attrs)))
	return &Tracer{provider: p, sampler: sampler, tracer: p.Tracer(Scope, trace.WithInstrumentationVersion(c.Version))}, nil
}

func (c TraceConfig) resource(attrs map[string]string) *resource.Resource {
	kv := []attribute.KeyValue{attribute.String("service.name", c.Service), attribute.String("service.version", c.Version)}
	for k, v := range attrs {
		if k != "service.name" || c.Service == "" {
			kv = append(kv, attribute.String(k, v))
		}
	}
	return resource.NewSchemaless(kv...)
}

// pairs reads a list of key=value whose values are percent-encoded.
func pairs(key string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, item := range list {
		k, v, ok := strings.Cut(item, "=")
		text, err := url.PathUnescape(strings.TrimSpace(v))
		if !ok || err != nil || strings.TrimSpace(k) == "" {
			return nil, fmt.Errorf("%s: must be a list of name=value", key)
		}
		out[strings.TrimSpace(k)] = text
	}
	return out, nil
}

// Call makes the spans of a call that has ended: one for the call, below it one for
// each stage. It returns the trace's id, empty when the call was not sampled.
func (t *Tracer) Call(rec *op.Record) string {
	if t == nil {
		return ""
	}
	from := rec.Request.Trace
	ctx, sampled := t.sampled(t.begun(from.Parent, from.State))
	if !sampled {
		return ""
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(rec.Start), trace.WithSpanKind(trace.SpanKindServer)}
	if link := trace.SpanContextFromContext(t.begun(from.Link, "")); link.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	ctx, span := t.tracer.Start(ctx, spanName(rec), options...)
	span.SetAttributes(attributes(rec)...)
	if rec.Err != nil {
		span.SetStatus(codes.Error, rec.Code())
	}
	t.stages(ctx, rec)
	span.End(trace.WithTimestamp(rec.Start.Add(rec.Total)))
	return span.SpanContext().TraceID().String()
}

// begun has the trace that another has begun (W3C Trace Context), if any.
func (t *Tracer) begun(parent, state string) context.Context {
	if parent == "" {
		return context.Background()
	}
	return t.context.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}

// stages makes a span for each stage that the call went through. That of Vault is a
// client's: Vault's audit log has the same correlation id.
func (t *Tracer) stages(ctx context.Context, rec *op.Record) {
	at := rec.Start
	for i, name := range op.StageNames() {
		d := rec.Times[i]
		if d <= 0 {
			continue
		}
		options := []trace.SpanStartOption{trace.WithTimestamp(at)}
		if op.Stage(i) == op.StageVault {
			options = append(options, trace.WithSpanKind(trace.SpanKindClient),
				trace.WithAttributes(attribute.String("portcullis.correlation_id", rec.Decision.ID)))
		}
		_, span := t.tracer.Start(ctx, name, options...)
		at = at.Add(d)
		span.End(trace.WithTimestamp(at))
	}
}

// spanName is that of the semantic conventions: method and route over HTTP, method and
// tool over MCP.
func spanName(rec *op.Record) string {
	if m := rec.Request.Trace.Method; m != "" {
		return m + " " + operation(rec)
	}
	if rec.Bound != nil && rec.Request.Transport == op.REST {
		return rec.Bound.Op.Method + " " + rec.Bound.Op.Path
	}
	return string(rec.Request.Transport) + " " + operation(rec)
}

// operation is the operation's name, from the closed set of the catalogue.
func operation(rec *op.Record) string {
	if rec.Bound == nil {
		return "unknown"
	}
	return rec.Bound.Op.Name
}

// attributes are those of the conventions for MCP and GenAI (OpenTelemetry semantic
// conventions for GenAI, 0.1.0), and what connects the trace with the evidence.
func attributes(rec *op.Record) []attribute.KeyValue {
	r, from := rec.Request, rec.Request.Trace
	as := []attribute.KeyValue{
		attribute.String("portcullis.operation", operation(rec)), attribute.String("portcullis.code", rec.Code()),
		attribute.String("portcullis.transport", string(r.Transport)), attribute.String("portcullis.request_id", r.ID),
		attribute.String("portcullis.decision_id", rec.Decision.ID), attribute.String("enduser.id", r.Caller.Subject),
	}
	text := func(key, value string) {
		if value != "" {
			as = append(as, attribute.String(key, value[:min(len(value), maxAttribute)]))
		}
	}
	if rec.Err != nil {
		text("error.type", rec.Code())
	}
	if from.Method == "" {
		return as
	}
	text("mcp.method.name", from.Method)
	text("mcp.protocol.version", from.Protocol)
	text("mcp.session.id", from.Session)
	text("mcp.resource.uri", from.URI)
	text("jsonrpc.request.id", from.ID)
	if from.Method == "tools/call" {
		text("gen_ai.operation.name", "execute_tool")
		text("gen_ai.tool.name", operation(rec))
	}
	return as
}

// Close sends what is waiting, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return t.provider.Shutdown(ctx)
}
