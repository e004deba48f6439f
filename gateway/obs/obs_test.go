package obs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
)

func newLogs(t *testing.T, filter func(dst, line []byte) ([]byte, bool)) (*obs.Logs, string) {
	t.Helper()
	dir := t.TempDir()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := obs.NewLogs(obs.LogConfig{Dir: dir, Level: slog.LevelInfo, Stderr: stderr, Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stderr.Close() })
	return l, dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(raw)
}

func TestEachLogHasItsFile(t *testing.T) {
	l, dir := newLogs(t, nil)
	l.Requests.Info("request")
	l.Responses.Info("call")
	l.Server.Warn("something")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"requests.log": `"msg":"request"`, "responses.log": `"msg":"call"`, "server.log": `"lvl":"WARN"`, "stderr": `"msg":"something"`,
	} {
		if got := read(t, dir, name); !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: got %q, want one line with %s", name, got, want)
		}
	}
}

// TestEveryLinePassesTheFilter: what the filter changes is changed everywhere, and
// what it drops is nowhere.
func TestEveryLinePassesTheFilter(t *testing.T) {
	l, dir := newLogs(t, func(dst, line []byte) ([]byte, bool) {
		return append(dst, bytes.ReplaceAll(line, []byte("canary"), []byte("*"))...), !bytes.Contains(line, []byte("drop"))
	})
	for _, log := range []*slog.Logger{l.Requests, l.Responses, l.Server} {
		log.Info("x", "k", "canary")
		log.Info("drop")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"requests.log", "responses.log", "server.log", "stderr"} {
		if got := read(t, dir, name); strings.Contains(got, "canary") || strings.Contains(got, "drop") || !strings.Contains(got, `"k":"*"`) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func record(code call.Code) *op.Record {
	r := &op.Record{
		Request: &op.Request{ID: "r", Op: "canary\"op", Transport: op.REST, Caller: &call.Caller{Subject: "a"}}, Total: time.Millisecond,
	}
	if code != "" {
		r.Err = &call.Error{Code: code, Msg: "public", Err: errors.New("cause")}
	}
	return r
}

// TestACallersShareOfTheLogIsBounded: what does not fit is counted and not written,
// what is an error of the gateway is written all the same.
func TestACallersShareOfTheLogIsBounded(t *testing.T) {
	var log strings.Builder
	room := 1000
	rec := obs.Recorder{Log: slog.New(slog.NewTextHandler(&log, nil)), Meter: obs.NewMeter(), Spend: func(_ *call.Caller, n int) bool {
		room -= n
		return room >= 0
	}}
	for range 100 {
		rec.Record(context.Background(), record(""))
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || log.Len() > 1500 {
		t.Errorf("got %d lines of %d bytes, want about 1000 bytes", n, log.Len())
	}
	r := record(call.Internal)
	r.Panicked = true
	rec.Record(context.Background(), r)
	if !strings.Contains(log.String(), "panic=true") {
		t.Error("a panic is not logged")
	}
}

// TestLabelsAreAClosedSet: a name that a caller made up is no label.
func TestLabelsAreAClosedSet(t *testing.T) {
	m := obs.NewMeter()
	var log strings.Builder
	rec := obs.Recorder{Log: slog.New(slog.NewTextHandler(&log, nil)), Meter: m}
	rec.Record(context.Background(), record(call.UnknownOperation))
	rec.Record(context.Background(), record(""))
	m.Request("GET", "/secrets/*path", 200, time.Millisecond)
	var page strings.Builder
	m.WritePrometheus(&page)
	if strings.Contains(page.String(), "canary") {
		t.Errorf("a made-up name is a label:\n%s", &page)
	}
	for _, want := range []string{
		`portcullis_calls_total{op="unknown",transport="rest",code="unknown_operation"} 1`,
		`http_requests_total{method="GET",route="/secrets/*path",status="200"} 1`, `http_request_duration_seconds_bucket{`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%s is missing in:\n%s", want, &page)
		}
	}
	if !strings.Contains(log.String(), "cause=cause") {
		t.Errorf("the log lacks the cause: %s", &log)
	}
}

func TestHealth(t *testing.T) {
	var down error
	h := &obs.Health{Vault: func(context.Context) error { return down }, Parts: map[string]func() obs.Part{
		"policy": func() obs.Part { return obs.Part{OK: true, Detail: "revision x"} },
	}}
	get := func(f func(*obs.Health) string) string { return f(h) }
	ready := func(h *obs.Health) string {
		w := httptest.NewRecorder()
		h.Readyz(w, httptest.NewRequest("GET", "/readyz", nil))
		return fmt.Sprint(w.Code, " ", w.Body)
	}
	if got := get(ready); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, "revision x") {
		t.Errorf("got %s, want ready", got)
	}
	h = &obs.Health{Vault: func(context.Context) error {
		return call.Wrap(call.VaultUnavailable, "Vault is not available", errors.New("dial canary"))
	}}
	if got := get(ready); !strings.HasPrefix(got, "503 ") || strings.Contains(got, "canary") {
		t.Errorf("got %s, want 503 without the cause", got)
	}
	w := httptest.NewRecorder()
	h.Healthz(w, nil)
	if !strings.Contains(w.Body.String(), `"ok": true`) {
		t.Errorf("got %s: scripts look for the blank", w.Body)
	}
}

func ExampleMeter() {
	m := obs.NewMeter()
	m.InFlight.Inc()
	fmt.Println(m.InFlight.Get())
	// Output: 1
}
