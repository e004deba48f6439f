package server

import (
	"net/netip"
	"sync"
	"time"
)

// addressesKept is how many addresses an allowance remembers.
const addressesKept = 1024

// allowance spreads what addresses begin over time: each may begin something every so
// often, and be ahead of that by a while. The zero value cannot be used.
type allowance struct {
	every, ahead time.Duration

	mu  sync.Mutex               // guards due
	due map[netip.Addr]time.Time // when the next one may begin
}

func newAllowance(every, ahead time.Duration) *allowance {
	return &allowance{every: every, ahead: ahead, due: map[netip.Addr]time.Time{}}
}

// take takes one of an address, unless it would have to wait for longer than patience. It
// returns how long to wait before it may begin.
func (a *allowance) take(from netip.Addr, now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.at(from, now)
	if wait = max(0, due.Sub(now)); wait > patience {
		return 0, false
	}
	a.put(from, due.Add(a.every))
	return wait, true
}

// charge takes n more that have begun.
func (a *allowance) charge(from netip.Addr, now time.Time, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(from, a.at(from, now).Add(time.Duration(n)*a.every))
}

// at is when an address may begin the next one; mu is held.
func (a *allowance) at(from netip.Addr, now time.Time) time.Time {
	due, first := a.due[from], now.Add(-a.ahead)
	if due.Before(first) {
		return first
	}
	return due
}

// put keeps when an address may begin the next one, in the place of another's when there
// are too many; mu is held.
func (a *allowance) put(from netip.Addr, due time.Time) {
	if _, there := a.due[from]; !there && len(a.due) >= addressesKept {
		for other := range a.due { // any
			delete(a.due, other)
			break
		}
	}
	a.due[from] = due
}
