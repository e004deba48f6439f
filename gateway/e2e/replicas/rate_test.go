package replicas_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
)

// TestATierIsOneForAllReplicas: whichever replica is called, rate and burst together pass,
// and not one call more; without Redis each replica has what the tier says.
func TestATierIsOneForAllReplicas(t *testing.T) {
	w := start(t, `tiers:
  standard: {requests: 600, window_s: 60, burst: 60}
`)
	began := time.Now()
	passed := w.hammer(150)
	full := 60 + int64(time.Since(began)/(100*time.Millisecond))
	if passed < 60 || passed > full {
		t.Errorf("%d calls pass, want 60 and up to %d with what comes back meanwhile", passed, full)
	}
	if err := w.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.replicas {
		e2e.Eventually(t, "served by the replica's own bucket", func() bool { return ask(t, "GET", r.URL+"/whoami", "").status == http.StatusOK })
		ready := ask(t, "GET", r.URL+"/readyz", "")
		if ready.status != http.StatusOK || !strings.Contains(ready.body, "degraded: the shared store (REDIS_URL) cannot be reached") {
			t.Errorf("readyz without Redis: %d %s", ready.status, ready.body)
		}
	}
	if err := w.redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.replicas {
		e2e.Eventually(t, "ready with Redis", func() bool {
			return !strings.Contains(ask(t, "GET", r.URL+"/readyz", "").body, "degraded: the shared store")
		})
	}
	began = time.Now()
	passed = w.hammer(150)
	full = 60 + int64(time.Since(began)/(100*time.Millisecond))
	if passed < 60 || passed > full {
		t.Errorf("with a Redis that has come back %d calls pass, want 60 and up to %d", passed, full)
	}
}

// hammer makes so many calls at each replica at the same time, and counts those that pass.
func (w *world) hammer(each int) int64 {
	w.t.Helper()
	var passed, other atomic.Int64
	var wg sync.WaitGroup
	for _, r := range w.replicas {
		for range 3 {
			wg.Go(func() {
				for range each / 3 {
					a, err := try(w.t.Context(), "GET", r.URL+"/whoami", "")
					switch {
					case err == nil && a.status == http.StatusOK:
						passed.Add(1)
					case err != nil || a.status != http.StatusTooManyRequests:
						other.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if other.Load() > 0 {
		w.t.Errorf("%d calls neither passed nor were limited", other.Load())
	}
	return passed.Load()
}
