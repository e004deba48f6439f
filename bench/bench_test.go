package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/retry"
)

// one is a scenario of one request, which must be answered with the marker.
func one() *scenario {
	return &scenario{
		Name: "one", Over: []string{"rest"}, Connections: 2, Session: 3, Burst: 1,
		Operations: []operation{{Name: "get", Share: 1, REST: form{Method: "GET", Path: "/x"}, Tool: "x", Expect: 200, Contains: marker}},
	}
}

func targetAt(t *testing.T, s *scenario, h http.HandlerFunc) *target {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	to, err := newTarget(s, place{name: "test", url: srv.URL, credential: "A: b"}, s.Over[0])
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func closed(d time.Duration) *arrivals {
	now := time.Now()
	return &arrivals{start: now, end: now.Add(d), burst: 1}
}

func TestDriveChecksAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		ok     bool
	}{
		"the secret":    {200, marker, true},
		"another":       {200, "something else", false},
		"an error":      {503, marker, false},
		"a large reply": {200, strings.Repeat("x", 1<<17) + marker, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := targetAt(t, one(), func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			r, err := drive(t.Context(), to, closed(30*time.Millisecond), 2)
			if (err == nil) != c.ok || c.ok && r.times.TotalCount() == 0 {
				t.Errorf("got %v, want success: %v", err, c.ok)
			}
			if !c.ok && !errors.Is(err, errRefused) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestDriveEnds: a target that does not answer does not hold the driver for ever.
func TestDriveEnds(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody accepts
	to, err := newTarget(one(), place{name: "silent", url: "http://" + l.Addr().String()}, "rest")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drive(t.Context(), to, closed(20*time.Millisecond), 1); err == nil {
		t.Error("no error")
	}
}

// TestOpenLoopCountsFromTheArrival: one answer that takes long delays those behind it,
// and their times say so.
func TestOpenLoopCountsFromTheArrival(t *testing.T) {
	var n atomic.Int64
	to := targetAt(t, one(), func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			retry.Sleep(t.Context(), 300*time.Millisecond)
		}
		_, _ = io.WriteString(w, marker)
	})
	a := closed(400 * time.Millisecond)
	a.rate = 50
	r, err := drive(t.Context(), to, a, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.times.TotalCount(); got != 20 {
		t.Errorf("%d requests, want 20: every arrival is served", got)
	}
	if p50 := time.Duration(r.times.ValueAtPercentile(50)) * time.Microsecond; p50 < 50*time.Millisecond {
		t.Errorf("p50 is %v: what waited does not say so", p50)
	}
}

func TestBurstsArriveTogether(t *testing.T) {
	a := &arrivals{start: time.Unix(1000, 0), end: time.Unix(1001, 0), rate: 10, burst: 5}
	var at []time.Time
	for {
		_, began, ok := a.wait(t.Context())
		if !ok {
			break
		}
		at = append(at, began)
	}
	if len(at) != 10 || !at[0].Equal(at[4]) || at[5].Sub(at[4]) != 500*time.Millisecond {
		t.Errorf("got %v", at)
	}
}

// TestSessions: a session is begun, its id is sent with each call, and another one
// follows when it has had its calls.
func TestSessions(t *testing.T) {
	s := one()
	s.Over = []string{"session"}
	var begun, calls atomic.Int64
	to := targetAt(t, s, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(raw), `"initialize"`):
			begun.Add(1)
			w.Header().Set("Mcp-Session-Id", "s1")
		case r.Header.Get("Mcp-Session-Id") != "s1":
			w.WriteHeader(http.StatusBadRequest)
		case strings.Contains(string(raw), "initialized"):
			w.WriteHeader(http.StatusAccepted)
		default:
			calls.Add(1)
			_, _ = io.WriteString(w, marker)
		}
	})
	c := &client{to: to}
	defer c.close()
	for range 7 {
		if err := c.do(t.Context(), &to.requests[0]); err != nil {
			t.Fatal(err)
		}
	}
	if begun.Load() != 3 || calls.Load() != 7 {
		t.Errorf("%d sessions, %d calls; want 3 and 7", begun.Load(), calls.Load())
	}
}

func TestShippedScenarios(t *testing.T) {
	var out strings.Builder
	if err := describe(&out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kv-read", "read-heavy", "agent-sessions", "ci-burst", "credentials", "streams", "large-secret", "denied", "half-peak", "one-connection"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("%s is not listed", name)
		}
	}
	file := filepath.Join(t.TempDir(), "mine.yaml")
	for text, ok := range map[string]bool{
		"over: [rest]\noperations: [{name: a, rest: {method: GET, path: /a}}]\n":       true,
		"over: [rest]\noperations: []\n":                                               false,
		"over: [mcp]\noperations: [{name: a, rest: {method: GET, path: /a}}]\n":        false,
		"over: [udp]\noperations: [{name: a, rest: {method: GET, path: /a}}]\n":        false,
		"ovr: [rest]\noperations: [{name: a, rest: {method: GET, path: /a}}]\n":        false,
		"over: [rest]\nrate: -1\noperations: [{rest: {method: GET, path: /a}}]\n":      false,
		"over: [rest]\nstreams: 99999\noperations: [{rest: {method: GET, path: /}}]\n": false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := load(file); (err == nil) != ok || ok && (s.Name != "mine" || s.Connections != 16) {
			t.Errorf("%q: got %+v, %v", text, s, err)
		}
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0")
	if err != nil || got != 2*time.Second {
		t.Errorf("got %v, %v, want 2s", got, err)
	}
	if _, err := parseStat("12 (a) S 1"); err == nil {
		t.Error("a short line is accepted")
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if n, err := peakMemory(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("got %d, %v", n, err)
	}
}

// made is a result with two targets, whose figures are those of the proxy times a factor.
func made(factor float64) *result {
	r := newResult(one(), options{rounds: 6, turn: time.Second})
	for i, name := range []string{proxyName, "gateway, REST"} {
		o := &outcome{Target: name, times: newHistogram()}
		for n := range 6 {
			rec := &record{times: newHistogram()}
			for range 100 {
				rec.add(time.Duration(float64(10+n)*factor*float64(i+1))*time.Millisecond, nil)
			}
			cpu := time.Duration(factor * float64(i+1) * float64(10+n) * float64(time.Millisecond))
			o.add(rec, time.Second, usage{}, usage{front: cpu})
		}
		r.Targets = append(r.Targets, o)
	}
	return r
}

func TestReport(t *testing.T) {
	got := table(made(1))
	if !strings.Contains(got, "| gateway, REST | 100 | 1.00 |") || !strings.Contains(got, "| 250 µs | 2.00 |") {
		t.Errorf("got\n%s", got)
	}
	if svg := string(svg([]*result{made(1)})); !strings.Contains(svg, "gateway, REST") || !strings.HasSuffix(svg, "</svg>\n") {
		t.Errorf("got\n%s", svg)
	}
	raw, err := pngOf([]*result{made(1)})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := png.DecodeConfig(bytes.NewReader(raw)); err != nil || c.Width != width {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestOneAtATime: over one connection a result says what the gateway adds to Vault's time.
func TestOneAtATime(t *testing.T) {
	r := made(1)
	r.Connections = 1
	direct := *r.Targets[0]
	direct.Target = "Vault, direct"
	r.Targets = append([]*outcome{&direct}, r.Targets...)
	if got := table(r); !strings.Contains(got, "bare reverse proxy 0 µs; gateway, REST 125") {
		t.Errorf("got\n%s", got)
	}
}

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	files := map[string]float64{"old.json": 1, "same.json": 1.02, "slow.json": 2, "fast.json": 0.5}
	for name, factor := range files {
		if err := save(filepath.Join(dir, name), []*result{made(factor)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"same.json": "noise", "slow.json": "worse", "fast.json": "better"} {
		var out strings.Builder
		if err := compareFiles(&out, filepath.Join(dir, "old.json"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); strings.Count(got, want) < 6 {
			t.Errorf("%s: want %s:\n%s", name, want, got)
		}
	}
	if err := compareFiles(io.Discard, filepath.Join(dir, "none.json"), filepath.Join(dir, "old.json")); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{
		{"--rounds", "0"},
		{"--turn", "1h"},
		{"--connections", "x"},
		{"--connections", "9999"},
		{"--no-such-flag"},
		{"extra"},
		{"--target", "http://x"},
		{"--credential", "A: b"},
		{"--without", "everything"},
		{"--rate", "-1"},
		{"--rate", "0"},
		{"--rate", "NaN"},
		{"--rate", "100,x"},
		{"--target", "http://x", "--credential", "A: b", "--without", "logs"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	if o, err := parse(nil, io.Discard); err != nil || o.rounds == 0 {
		t.Errorf("got %+v, %v", o, err)
	}
	o, err := parse([]string{"--rate", "100,250"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := o.load(); err != nil || len(all) != 2 || all[1].Name != "kv-read at 250/s" || all[1].Rate != 250 {
		t.Errorf("got %+v, %v", all, err)
	}
	var out strings.Builder
	if err := command(context.Background(), []string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "Examples:") {
		t.Errorf("got %v\n%s", err, out.String())
	}
}
