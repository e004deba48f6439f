package peer

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// remembered bounds the addresses whose failures are counted. When there are
// more, the one that failed longest ago is forgotten.
const remembered = 1 << 16

// Failures bounds failed attempts per source address. An address may fail n times
// at once and n times per minute after that; beyond it is blocked. IPv6 sources
// are counted by /64, which is what one host is given.
type Failures struct {
	every time.Duration // one failure is forgiven per this time
	burst time.Duration
	most  int
	count Count
	due   *lru.Cache[netip.Addr, time.Time] // when an address has no failures left to forgive
}

// Count counts a failure of an address with all replicas: of most at once, one is forgiven
// per every. It returns after how long none is left to forgive.
type Count func(host string, most int, every time.Duration) (time.Duration, error)

// NewFailures makes a limit of n per minute, n > 0. Count is nil for failures of this
// process alone.
func NewFailures(n int, count Count) *Failures {
	due, err := lru.New[netip.Addr, time.Time](remembered)
	if err != nil {
		panic(err) // the size is positive
	}
	every := max(time.Minute/time.Duration(n), time.Microsecond).Truncate(time.Microsecond) // which a store can count
	return &Failures{every: every, burst: time.Duration(n) * every, most: n, count: count, due: due}
}

// Blocked returns how long an address must wait, zero when it need not.
func (f *Failures) Blocked(a netip.Addr, now time.Time) time.Duration {
	if f == nil || f.due.Len() == 0 {
		return 0
	}
	due, ok := f.due.Get(host(a))
	if !ok {
		return 0
	}
	return max(0, due.Sub(now)-f.burst+f.every)
}

// Add counts a failure of an address. What other replicas have counted is learnt here, so
// that good requests ask nobody; where it cannot be learnt, what is known here counts.
func (f *Failures) Add(a netip.Addr, now time.Time) {
	if f == nil {
		return
	}
	a = host(a)
	if f.count != nil {
		if left, err := f.count(a.String(), f.most, f.every); err == nil {
			f.due.Add(a, now.Add(left))
			return
		}
	}
	due, _ := f.due.Peek(a)
	if due.Before(now) {
		due = now
	}
	f.due.Add(a, due.Add(f.every))
}

func host(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}
