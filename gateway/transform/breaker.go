package transform

import (
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

const (
	// tripAfter failures within tripWithin put a module into quarantine.
	tripAfter  = 5
	tripWithin = 10 * time.Second
	// The first quarantine lasts backoffMin; each probe that fails doubles it.
	backoffMin = time.Second
	backoffMax = time.Minute
)

// breaker keeps a failing module away from calls. After a while it lets one
// call through, whose outcome decides. A nil breaker keeps nothing away.
type breaker struct {
	now func() time.Time
	mu  sync.Mutex // guards the rest
	// failures since the first one of the window.
	failures int
	first    time.Time
	// until is the end of the quarantine; zero means that there is none.
	until   time.Time
	backoff time.Duration
	probing bool
	trips   *metrics.Counter
}

func newBreaker(name string, now func() time.Time) *breaker {
	return &breaker{now: now, trips: metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_quarantines_total{module=%q}`, name))}
}

// allow tells whether a call may be made. In quarantine that is one call, when
// its time is over; the caller must report its outcome.
func (b *breaker) allow() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if b.probing || b.now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// wait tells how long the quarantine lasts before the next probe, zero for none,
// without taking the probe.
func (b *breaker) wait() time.Duration {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return 0
	case b.probing:
		return max(b.backoff, backoffMin)
	}
	return max(b.until.Sub(b.now()), 0)
}

// quarantined tells whether the module is in quarantine, for the status.
func (b *breaker) quarantined() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}

func (b *breaker) success() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing {
		b.until, b.backoff, b.probing, b.failures = time.Time{}, 0, false, 0
	}
}

// undecided gives the probe back: the call failed for a reason of its own.
func (b *breaker) undecided() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

func (b *breaker) failure() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.probing {
		b.trip(now)
		return
	}
	if now.Sub(b.first) > tripWithin {
		b.first, b.failures = now, 0
	}
	if b.failures++; b.failures >= tripAfter && b.until.IsZero() {
		b.trip(now)
	}
}

// tripNow begins a quarantine at once, or the next one when a probe has failed.
func (b *breaker) tripNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() || b.probing {
		b.trip(b.now())
	}
}

func (b *breaker) trip(now time.Time) {
	b.trips.Inc()
	b.backoff = min(max(2*b.backoff, backoffMin), backoffMax)
	b.until, b.probing, b.failures = now.Add(b.backoff), false, 0
}
