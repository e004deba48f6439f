package limit

import (
	"sync"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Kind is what is held for a while.
type Kind int

// The kinds: a stream that is open, a call that is running.
const (
	Stream Kind = iota
	Running
)

// held counts what each caller holds. What is not held takes no memory.
type held struct {
	mu   sync.Mutex // guards open
	open map[holdKey]int
}

type holdKey struct {
	caller string
	kind   Kind
}

// Hold takes a place among the streams or the running calls of a caller, as many
// as its tier has. The caller of Hold must call release, once. The error is
// RateLimited.
func (l *Limiter) Hold(c *call.Caller, tier string, k Kind) (release func(), err error) {
	t, ok := l.tier(tier)
	switch {
	case !l.cfg.Enabled:
		return func() {}, nil
	case !ok:
		return nil, limited(0)
	}
	key := holdKey{c.Key(), k}
	if !l.held.take(key, places(t, k)) {
		return nil, limited(t.Window)
	}
	return sync.OnceFunc(func() { l.held.release(key) }), nil
}

func places(t op.Tier, k Kind) int {
	if k == Stream {
		return t.Streams
	}
	return t.Concurrent
}

// take counts one more, unless there are max already; 0 is no bound.
func (h *held) take(k holdKey, max int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if max > 0 && h.open[k] >= max {
		return false
	}
	h.open[k]++
	return true
}

func (h *held) release(k holdKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[k]--; h.open[k] <= 0 {
		delete(h.open, k)
	}
}
