package replicas_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/retry"
)

// balancer sends requests to replicas that are ready, in turns.
type balancer struct {
	URL  string
	turn atomic.Uint64

	mu    sync.Mutex // guards ready
	ready []*httputil.ReverseProxy
}

// balance starts a balancer that looks at the replicas' readiness ten times a second.
func (w *world) balance() *balancer {
	b := &balancer{}
	s := httptest.NewServer(http.HandlerFunc(b.serve))
	b.URL = s.URL
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.look(ctx, w)
			retry.Sleep(ctx, 100*time.Millisecond)
		}
	}()
	w.t.Cleanup(func() { stop(); <-done; s.CloseClientConnections(); s.Close() })
	e2e.Eventually(w.t, "a balancer with a replica", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.ready) == len(w.replicas)
	})
	return b
}

func (b *balancer) look(ctx context.Context, w *world) {
	var ready []*httputil.ReverseProxy
	for _, r := range w.replicas {
		at := r.url()
		if a, err := try(ctx, "GET", at+"/readyz", ""); err == nil && a.status == http.StatusOK {
			u, _ := url.Parse(at)
			p := httputil.NewSingleHostReverseProxy(u)
			p.FlushInterval = -1
			p.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
			ready = append(ready, p)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	ready := b.ready
	b.mu.Unlock()
	if len(ready) == 0 {
		http.Error(w, "no replica is ready", http.StatusBadGateway)
		return
	}
	ready[b.turn.Add(1)%uint64(len(ready))].ServeHTTP(w, r)
}
