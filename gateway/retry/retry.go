// Package retry has what every loop needs that tries something again: a sleep that ends
// with its context, and durations that differ between replicas.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d and reports false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Jitter takes a random part of up to 1/n off d, so that replicas do not act at the same
// time. A d below 0 stays what it is.
func Jitter(d time.Duration, n int) time.Duration {
	if d < 0 {
		return d
	}
	return d - rand.N(d/time.Duration(n)+1) //nolint:gosec // spreads load, guards nothing
}

// Backoff is the wait after so many failures in a row: first after one, twice as long
// after each further one and at most longest, with a jitter of one half.
func Backoff(failures int, first, longest time.Duration) time.Duration {
	d := first
	for range failures - 1 {
		if d *= 2; d >= longest {
			break
		}
	}
	return Jitter(min(d, longest), 2)
}
