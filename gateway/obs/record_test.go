package obs_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/transform/native"
)

// recorder is one that writes into a file of its own, with redaction.
func recorder(t testing.TB) (obs.Recorder, *op.Record) {
	t.Helper()
	redactor := native.New()
	logs, err := obs.NewLogs(obs.LogConfig{
		Dir: t.TempDir(), Level: slog.LevelInfo, Stderr: os.Stderr,
		Redact: func(about string, dst, text []byte) []byte { return redactor.AppendFor(about, dst, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logs.Close() })
	path, err := call.ParsePath("mcp/bot/app")
	if err != nil {
		t.Fatal(err)
	}
	who := &call.Caller{Subject: "bot", SourceIP: netip.MustParseAddr("192.0.2.1")}
	who.KeepKey()
	rec := &op.Record{
		Request: &op.Request{Op: "kv.read", ID: "01kb3sxyz0000000000000000a", Caller: who, Transport: op.REST}, Start: time.Now(), Total: time.Millisecond,
		Bound: &op.Bound{Op: &op.Op{Spec: op.Spec{Name: "kv.read"}}, Resource: call.Resource{Mount: "secret", Path: path}},
	}
	rec.Decision.ID, rec.Decision.Allow, rec.Bytes, rec.Outcome.Version = "01kb3sxyz0000000000000000b", true, 120, 3
	for i := range rec.Times {
		rec.Times[i] = time.Duration(i+1) * 10 * time.Microsecond
	}
	return obs.Recorder{Log: logs.Responses, Meter: obs.NewMeter(), Spend: func(*call.Caller, int) bool { return true }}, rec
}

// TestACallIsLoggedWithFewAllocations: a line is written for every call.
func TestACallIsLoggedWithFewAllocations(t *testing.T) {
	r, rec := recorder(t)
	if n := testing.AllocsPerRun(200, func() { r.Record(t.Context(), rec) }); n > 6 {
		t.Errorf("a call's record costs %v allocations, want 6 at most", n)
	}
}

// TestACallIsLoggedWithItsStages: each by its own name.
func TestACallIsLoggedWithItsStages(t *testing.T) {
	var log strings.Builder
	r, rec := recorder(t)
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.Record(t.Context(), rec)
	for i, name := range op.StageNames() {
		if want := fmt.Sprintf(" %s_us=%d ", name, rec.Times[i].Microseconds()); !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in %s", want, &log)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	r, rec := recorder(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(b.Context(), rec)
	}
}
