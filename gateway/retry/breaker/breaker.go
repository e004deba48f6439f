// Package breaker stops calls to a service that does not answer, or that fails: after some
// failures calls fail at once, and one call at a time tries whether it got better.
package breaker

import (
	"sync"
	"time"

	"portcullis/gateway/retry"
)

// Breaker is closed while calls go through. Its fields are set before its first use. It is
// safe for concurrent use.
type Breaker struct {
	Failures int           // that open it
	Within   time.Duration // counts failures of such a time, whatever succeeded between them; zero counts those in a row
	Rest     time.Duration // how long it stays open before one call tries
	Longest  time.Duration // each try that fails doubles the rest, at most to this; zero keeps it
	// Alive asks whether the service is there. It is called before calls that got no answer
	// open the breaker: they may have asked for something that takes long. Optional.
	Alive func() bool
	Now   func() time.Time // the clock; nil is time.Now
	// Opened is called when the breaker has opened, or stays open after a try; it must not
	// call the breaker. Optional.
	Opened func()

	asking sync.Mutex // one question at a time; taken before mu

	mu      sync.Mutex // guards the fields below
	failed  int
	first   time.Time // the failure that began the count, with Within
	lastOK  time.Time
	until   time.Time     // open until then; zero when closed
	tries   int           // that failed since it opened
	rest    time.Duration // the last one
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

func (b *Breaker) now() time.Time {
	if b.Now == nil {
		return time.Now()
	}
	return b.Now()
}

// Allow reports whether a call may be made. One that was allowed must be followed
// by Done.
func (b *Breaker) Allow() bool {
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

// Done tells what came of an allowed call that began at start. An answer closes the
// breaker: the service is there. For the same reason a failure does not count when another
// call, made later, was answered: one slow operation must not stop all others. With
// Within answers to others say nothing, and only the call that tries closes it.
func (b *Breaker) Done(r Result, start time.Time) {
	if r == Silent {
		b.asking.Lock()
		defer b.asking.Unlock()
		r = b.countSilent(start)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r == OK && (b.Within == 0 || b.probing):
		b.failed, b.tries, b.until, b.probing, b.lastOK = 0, 0, time.Time{}, false, b.now()
	case r == Failed && (b.Within > 0 || !b.lastOK.After(start)):
		b.fail()
	case r != OK:
		b.probing = false
	}
}

// fail counts a failure; mu is held.
func (b *Breaker) fail() {
	now := b.now()
	if b.Within > 0 && now.Sub(b.first) > b.Within {
		b.first, b.failed = now, 0
	}
	b.failed++
	if b.probing || b.until.IsZero() && b.failed >= b.Failures {
		b.open()
	}
}

// Trip opens the breaker at once, whatever has been counted, or keeps it open when the
// call that tries has failed.
func (b *Breaker) Trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() || b.probing {
		b.open()
	}
}

// open begins a rest; mu is held.
func (b *Breaker) open() {
	b.tries++
	b.rest = retry.Backoff(b.tries, b.Rest, max(b.Rest, b.Longest))
	b.until, b.probing = b.now().Add(b.rest), false
	if b.Opened != nil {
		b.Opened()
	}
}

// countSilent is what an unanswered call that began at start comes to: a failure, unless it
// would open the breaker and the service is there. The caller holds asking.
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

// Wait is how long calls will fail before one may try, zero when one may be made. It
// takes no try.
func (b *Breaker) Wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return 0
	case b.probing:
		return b.rest
	}
	return max(b.until.Sub(b.now()), 0)
}
