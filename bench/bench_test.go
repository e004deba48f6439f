package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

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
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(s.Close)
			took, err := drive(t.Context(), newTarget(name, s.URL, nil, wire{"GET /", "A: b", ""}), 2, 30*time.Millisecond)
			if (err == nil) != c.ok || c.ok && len(took) == 0 {
				t.Errorf("got %d requests, %v, want success: %v", len(took), err, c.ok)
			}
		})
	}
}

// TestDriveEnds: a target that does not answer does not hold the driver for ever.
func TestDriveEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := drive(ctx, newTarget("silent", "http://"+l.Addr().String(), nil, wire{"GET /", "A: b", ""}), 1, time.Millisecond); err == nil {
		t.Error("no error")
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
}

func TestReport(t *testing.T) {
	o := options{rounds: 1, turn: time.Second, workers: 1}
	ts := []*target{{name: "direct"}, {name: "proxy"}, {name: "gateway"}}
	for i, x := range ts {
		for n := range 100 {
			x.took = append(x.took, time.Duration(n+1)*time.Millisecond*time.Duration(i+1))
		}
		x.spent = time.Duration(i+1) * time.Second
		x.cpu.front = time.Duration(i) * 10 * time.Millisecond
	}
	got := report(o, ts)
	if !strings.Contains(got, "| gateway | 33 | 0.67 | 153ms | 300ms | 200 µs | 2.00 | – | – |") {
		t.Errorf("got\n%s", got)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"--rounds", "0"}, {"--turn", "1h"}, {"--workers", "x"}, {"--no-such-flag"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
	if o, err := parse(nil); err != nil || o.rounds == 0 {
		t.Errorf("got %+v, %v", o, err)
	}
}
