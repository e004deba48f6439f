package budget

import (
	"maps"
	"math"
	"sync"
	"time"
)

// remembered bounds the buckets that are not full. Beyond it, a caller without a
// bucket is bounded by everybody's alone.
const remembered = 1 << 16

// flow bounds what is used by the second: a bucket for each caller and one for all,
// as large as what comes back in a second. A bucket is the time at which it is full
// again, so a full one takes no memory.
type flow struct {
	limit Limit

	mu    sync.Mutex // guards the fields below
	all   time.Time
	full  map[string]time.Time
	swept time.Time
}

// Spend uses n of a kind that is bounded by the second. What does not fit is not
// used, and the error is that of Reserve. One spending larger than a whole bucket
// needs a full one.
func (b *Budgets) Spend(w Who, k Kind, n int64) error {
	if b == nil || n <= 0 {
		return nil
	}
	now := b.now()
	return b.refused(k, b.flows[k].spend(w, n, now))
}

// used is how much of everybody's bucket has not come back.
func (f *flow) used(now time.Time) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(math.Round(max(f.all.Sub(now), 0).Seconds() * float64(f.limit.All)))
}

func (f *flow) spend(w Who, n int64, now time.Time) Scope {
	key, most, scope := w.Caller, f.limit.Caller, Caller
	if key == "" {
		key, most, scope = "\x00"+w.Addr.String(), f.limit.Address, Address // no caller's key begins like this
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep(now)
	one, ok := after(f.full[key], n, most, now)
	if !ok {
		return scope
	}
	all, ok := after(f.all, n, f.limit.All, now)
	if !ok {
		return Everybody
	}
	f.all = all
	if _, known := f.full[key]; most > 0 && (known || len(f.full) < remembered) {
		f.full[key] = one
	}
	return ""
}

// after is when a bucket is full again that n is taken from, ok is false when it does
// not have as much.
func after(full time.Time, n, perSecond int64, now time.Time) (time.Time, bool) {
	if perSecond <= 0 {
		return full, true
	}
	if full.Before(now) {
		full = now
	}
	then := full.Add(time.Duration(float64(n) / float64(perSecond) * float64(time.Second)))
	return then, !then.After(now.Add(time.Second)) || !full.After(now)
}

// sweep forgets full buckets, at most once a second. The lock is held.
func (f *flow) sweep(now time.Time) {
	if now.Sub(f.swept) < time.Second {
		return
	}
	f.swept = now
	maps.DeleteFunc(f.full, func(_ string, full time.Time) bool { return !full.After(now) })
}
