package obs_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
)

// receive is a collector that decodes what it gets with OpenTelemetry's own types.
func receive(t *testing.T, requests chan<- *collector.ExportTraceServiceRequest, auth string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			zipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zipped
		}
		raw, err := io.ReadAll(body)
		var req collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(raw, &req)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != auth {
			t.Errorf("got %s %q, %v", r.URL.Path, r.Header.Get("Authorization"), err)
		}
		requests <- &req
	}))
	t.Cleanup(s.Close)
	return s
}

// spansOf sends a record and returns the spans by their names.
func spansOf(t *testing.T, c obs.TraceConfig, rec *op.Record) (spans map[string]*traces.Span, resource map[string]string, id string) {
	t.Helper()
	requests := make(chan *collector.ExportTraceServiceRequest, 8)
	c.Endpoint, c.Headers = receive(t, requests, "Bearer abc").URL, []string{"Authorization=Bearer%20abc"}
	tracer, err := obs.NewTracer(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id = tracer.Call(rec)
	if err := tracer.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(requests)
	spans = map[string]*traces.Span{}
	for req := range requests {
		for _, rs := range req.GetResourceSpans() {
			resource = texts(rs.GetResource().GetAttributes())
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					spans[s.GetName()] = s
				}
			}
		}
	}
	return spans, resource, id
}

func texts(kvs []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range kvs {
		m[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return m
}

// traced is a tool call that Vault refused, with a parent in its message and another
// in its HTTP request.
func traced() *op.Record {
	rec := &op.Record{
		Request: &op.Request{ID: "req-1", Op: "kv.read", Transport: op.MCP, Args: []byte(`{"path":"canary"}`), Caller: &call.Caller{Subject: "a"}, Trace: op.Trace{
			Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "vendor=x", Link: "00-11111111111111111111111111111111-2222222222222222-01",
			Method: "tools/call", Protocol: "2025-06-18", Session: "S", ID: "7", URI: strings.Repeat("u", 9000),
		}},
		Bound: &op.Bound{Op: &op.Op{Spec: op.Spec{Name: "kv.read", Method: "GET", Path: "/secrets/*path"}}},
		Err:   call.Errorf(call.NotFound, "no such secret"), Start: time.Unix(1000, 0), Total: 5 * time.Millisecond,
	}
	rec.Decision.ID = "d1"
	rec.Times[op.StageBind], rec.Times[op.StageVault] = time.Millisecond, 3*time.Millisecond
	return rec
}

func TestTraceOfACall(t *testing.T) {
	spans, resource, id := spansOf(t, obs.TraceConfig{Service: "portcullis", Version: "1", Attributes: []string{"deployment.environment.name=te%20st"}}, traced())
	if resource["service.name"] != "portcullis" || resource["deployment.environment.name"] != "te st" {
		t.Errorf("resource: got %v", resource)
	}
	root, vault := spans["tools/call kv.read"], spans["vault"]
	if root == nil || vault == nil || spans["bind"] == nil {
		t.Fatalf("got %v", spans)
	}
	if id != "0af7651916cd43dd8448eb211c80319c" || string(root.GetParentSpanId()) != "\xb7\xad\x6b\x71\x69\x20\x33\x31" || len(root.GetLinks()) != 1 {
		t.Errorf("got trace %s, parent %x, %d links", id, root.GetParentSpanId(), len(root.GetLinks()))
	}
	if root.GetKind() != traces.Span_SPAN_KIND_SERVER || vault.GetKind() != traces.Span_SPAN_KIND_CLIENT || string(vault.GetParentSpanId()) != string(root.GetSpanId()) {
		t.Errorf("got kinds %v and %v", root.GetKind(), vault.GetKind())
	}
	if took := vault.GetEndTimeUnixNano() - vault.GetStartTimeUnixNano(); took != 3_000_000 {
		t.Errorf("the stage took %d ns", took)
	}
	got := texts(root.GetAttributes())
	for key, want := range map[string]string{
		"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "kv.read", "jsonrpc.request.id": "7",
		"mcp.session.id": "S", "mcp.protocol.version": "2025-06-18", "error.type": "not_found", "portcullis.decision_id": "d1", "enduser.id": "a",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	if len(got["mcp.resource.uri"]) > 512 || strings.Contains(prototext.Format(root), "canary") {
		t.Error("an argument, or an unbounded text, is in the span")
	}
}

func TestTraceThatIsNotSampled(t *testing.T) {
	spans, _, id := spansOf(t, obs.TraceConfig{Sampler: "always_off"}, traced())
	if len(spans) != 0 || id != "" {
		t.Errorf("got %v, %q", spans, id)
	}
}

func TestTraceSettings(t *testing.T) {
	for name, c := range map[string]obs.TraceConfig{
		"sampler": {Sampler: "sometimes"}, "ratio": {Sampler: "traceidratio", SamplerArg: "2"}, "header": {Headers: []string{"x"}}, "attribute": {Attributes: []string{"=v"}},
	} {
		c.Endpoint = "http://127.0.0.1:1"
		if _, err := obs.NewTracer(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "OTEL_") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if tracer, err := obs.NewTracer(t.Context(), obs.TraceConfig{}, nil); tracer != nil || err != nil {
		t.Errorf("without an endpoint: got %v, %v", tracer, err)
	}
}

// TestNoTracesCostNothing: without a collector a record allocates nothing for traces.
func TestNoTracesCostNothing(t *testing.T) {
	var tracer *obs.Tracer
	rec := traced()
	if n := testing.AllocsPerRun(100, func() { _ = tracer.Call(rec) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// unsampled is a tracer that samples next to nothing, with a record.
func unsampled(t testing.TB) (*obs.Tracer, *op.Record) {
	t.Helper()
	tracer, err := obs.NewTracer(t.Context(), obs.TraceConfig{Endpoint: "http://127.0.0.1:9", Sampler: "traceidratio", SamplerArg: "0.000001"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, rec := recorder(t)
	return tracer, rec
}

// TestACallThatIsNotSampledCostsNothing: of a hundred calls, one is sampled.
func TestACallThatIsNotSampledCostsNothing(t *testing.T) {
	tracer, rec := unsampled(t)
	if n := testing.AllocsPerRun(200, func() { tracer.Call(rec) }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// TestTheRatioIsSampled: as many calls as the setting says, and those whose caller has
// sampled them where the sampler asks for that.
func TestTheRatioIsSampled(t *testing.T) {
	const calls = 2000
	for sampler, want := range map[string][2]float64{
		"traceidratio": {0.25, 0.25}, "parentbased_traceidratio": {0.25, 1}, "parentbased_always_off": {0, 1}, "always_off": {0, 0}, "always_on": {1, 1},
	} {
		requests := make(chan *collector.ExportTraceServiceRequest, calls)
		tracer, err := obs.NewTracer(t.Context(), obs.TraceConfig{
			Endpoint: receive(t, requests, "").URL, Sampler: sampler, SamplerArg: "0.25",
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		_, rec := recorder(t)
		for i, from := range []string{"", "00-%016x%016x-00f067aa0ba902b7-01"} {
			seen := map[string]bool{}
			for range calls {
				parent := from
				if parent != "" {
					parent = fmt.Sprintf(from, rand.Uint64(), rand.Uint64())
				}
				rec.Request.Trace.Parent = parent
				if id := tracer.Call(rec); id != "" {
					seen[id] = true
				}
			}
			if got := float64(len(seen)) / calls; math.Abs(got-want[i]) > 0.05 {
				t.Errorf("%s, parent %q: %.3f of the calls are sampled, want %.2f", sampler, from, got, want[i])
			}
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkUnsampled is what tracing costs a call that is not sampled.
func BenchmarkUnsampled(b *testing.B) {
	tracer, rec := unsampled(b)
	b.ReportAllocs()
	for b.Loop() {
		tracer.Call(rec)
	}
}
