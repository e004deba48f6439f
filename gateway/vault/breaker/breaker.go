// Package breaker stops asking somebody who does not answer: after a few failures
// in a row calls fail at once, and one call at a time tries whether it got better.
package breaker

import (
	"sync"
	"time"

	"portcullis/gateway/retry"
)

// Breaker is closed while calls go through. Its fields are set before its first use.
type Breaker struct {
	Failures int           // in a row, that open it
	Rest     time.Duration // how long it stays open before one call tries
	// Alive asks whether somebody is there. It is called before calls that got no answer
	// open the breaker: they may have asked for something that takes long. Optional.
	Alive func() bool

	asking sync.Mutex // one question at a time; taken before mu

	mu      sync.Mutex // guards the fields below
	failed  int
	lastOK  time.Time
	until   time.Time // open until then; zero when closed
	probing bool
}

// Result is what came of a call.
type Result int

// The results. Silent is a call that was taken and not answered in time. A call that
// ended for a reason of the caller's says nothing.
const (
	OK Result = iota
	Failed
	Silent
	Nothing
)

// Allow reports whether a call may be made. One that was allowed must be followed
// by Done.
func (b *Breaker) Allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if b.probing || time.Now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// Done tells what came of an allowed call that began at start. Any answer closes
// the breaker: somebody is there. For the same reason a failure does not count
// when another call, made later, was answered: one slow operation must not stop
// all others.
func (b *Breaker) Done(r Result, start time.Time) {
	if r == Silent {
		b.asking.Lock()
		defer b.asking.Unlock()
		r = b.countSilent(start)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r == Failed && b.lastOK.After(start) {
		r = Nothing
	}
	switch r {
	case OK:
		b.failed, b.until, b.probing, b.lastOK = 0, time.Time{}, false, time.Now()
	case Failed:
		b.failed++
		if b.failed >= b.Failures {
			b.until = time.Now().Add(retry.Jitter(b.Rest, 2))
			b.probing = false
		}
	case Nothing:
		b.probing = false
	}
}

// countSilent is what an unanswered call that began at start comes to: a failure, unless it
// would open the breaker and somebody is there. The caller holds asking.
func (b *Breaker) countSilent(start time.Time) Result {
	if b.Alive != nil && b.opens(start) && b.Alive() {
		return OK
	}
	return Failed
}

// opens reports whether the failure of a call that began at start would open the
// breaker, or keep it open.
func (b *Breaker) opens(start time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return (b.until.IsZero() || b.probing) && b.failed+1 >= b.Failures && !b.lastOK.After(start)
}

// AnsweredSince reports whether a call has been answered after a time.
func (b *Breaker) AnsweredSince(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lastOK.After(t)
}

// Open reports whether calls fail at once.
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
