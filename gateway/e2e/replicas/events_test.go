package replicas_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/retry"
)

// reader reads GET /events, and connects again where it was cut off, as clients do.
type reader struct {
	at func() string // address of whoever answers now

	mu     sync.Mutex // guards what follows
	id     string
	got    map[string]int // events by path
	missed int
	opened int
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.connect(ctx)
		retry.Sleep(ctx, 50*time.Millisecond)
	}
}

func (r *reader) connect(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at()+"/events", nil)
	if err != nil {
		return
	}
	req.Header.Set("X-API-Key", e2e.Key)
	r.mu.Lock()
	if r.id != "" {
		req.Header.Set("Last-Event-ID", r.id)
	}
	r.mu.Unlock()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return
	}
	r.note(func() { r.opened++ })
	lines := bufio.NewScanner(resp.Body)
	event, id := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			r.take(event, value)
		case "":
			if id != "" {
				r.note(func() { r.id = id })
			}
			event, id = "", ""
		}
	}
}

func (r *reader) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *reader) take(event, data string) {
	var e struct {
		Path string `json:"path"`
	}
	_ = json.Unmarshal([]byte(data), &e)
	r.note(func() {
		if strings.Contains(event, "missed") || strings.Contains(event, "reset") {
			r.missed++
		}
		if e.Path != "" {
			r.got[e.Path]++
		}
	})
}

// count is how many paths were told of, and how many more than once.
func (r *reader) count() (paths, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.got {
		if n > 1 {
			twice++
		}
	}
	return len(r.got), twice
}

func (r *replica) url() string {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	return r.URL
}

// read starts a reader until the test ends, and waits until its stream is open.
func (w *world) read(at func() string) *reader {
	w.t.Helper()
	r := &reader{at: at, got: map[string]int{}}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
	r.isOpen(w.t, 1)
	return r
}

func (r *reader) isOpen(t *testing.T, times int) {
	t.Helper()
	e2e.Eventually(t, "an open stream with an id", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.opened >= times
	})
}

// TestRollingRestart: each replica is stopped and started again under constant load behind
// a balancer. No call fails, and no event is lost or told of twice. REPLICAS_ROUNDS says how
// often.
func TestRollingRestart(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("REPLICAS_ROUNDS"))
	w := start(t, "{}", "RATE_LIMIT_ENABLED=false", "SHUTDOWN_DELAY=2s")
	b := w.balance()
	r := w.read(func() string { return b.URL })
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var written, read atomic.Int64
	for i := range 2 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				path := fmt.Sprintf("/secrets/w%d/%d", i, n)
				w.must(b, "PUT", path, `{"data":{"v":"1"}}`, &written)
				w.must(b, "GET", path, "", &read)
				retry.Sleep(ctx, 10*time.Millisecond)
			}
		})
	}
	for range max(rounds, 1) {
		for _, one := range w.replicas {
			if err := one.Stop(); err != nil {
				t.Error(err)
			}
			one.start()
			e2e.Eventually(t, "ready again", func() bool { return ask(t, "GET", one.URL+"/readyz", "").status == http.StatusOK })
			retry.Sleep(ctx, 300*time.Millisecond) // the balancer sees it
		}
	}
	stop()
	wg.Wait()
	t.Logf("%d writes and %d reads", written.Load(), read.Load())
	e2e.Eventually(t, "told of every write", func() bool { n, _ := r.count(); return int64(n) >= written.Load() })
	if n, twice := r.count(); int64(n) != written.Load() || twice > 0 || r.missed > 0 {
		t.Errorf("%d of %d events came, %d twice, and %d times some are said to be missed", n, written.Load(), twice, r.missed)
	}
}

// must makes a call that has to succeed, and counts it.
func (w *world) must(b *balancer, method, path, body string, n *atomic.Int64) {
	a, err := try(context.WithoutCancel(w.t.Context()), method, b.URL+path, body)
	if err != nil || a.status != http.StatusOK {
		w.t.Errorf("%s %s: %v %d %s", method, path, err, a.status, a.body)
		return
	}
	n.Add(1)
}
