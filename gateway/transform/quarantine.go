package transform

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/retry/breaker"
)

const (
	// tripAfter failures within tripWithin put a module into quarantine.
	tripAfter  = 5
	tripWithin = 10 * time.Second
	// The first quarantine lasts restFirst; each probe that fails doubles it.
	restFirst   = time.Second
	restLongest = time.Minute
	// A module is kept from everybody when it failed for so many callers on so many
	// different inputs within tripWithin: then it is the module that is broken.
	// Below that it is kept only from the callers for which it fails.
	tripCallers = 3
	tripInputs  = 3
	// maxQuarantines bounds the callers for whom a module has a breaker of their own,
	// and the failures that are remembered.
	maxQuarantines = 1024
)

// quarantine keeps a failing module away from calls: from one caller, or from all.
type quarantine struct {
	now   func() time.Time
	trips *metrics.Counter
	all   *breaker.Breaker // of the module, whoever calls

	mu      sync.Mutex // guards the rest
	callers map[string]*breaker.Breaker
	recent  []failed
}

// failed is one failure of the module.
type failed struct {
	caller string
	input  [8]byte // the start of the payload's SHA-256
	at     time.Time
}

func newQuarantine(name string, now func() time.Time) *quarantine {
	trips := metrics.GetOrCreateCounter(fmt.Sprintf(`portcullis_transform_quarantines_total{module=%q}`, name))
	return &quarantine{now: now, trips: trips, all: newBreaker(now, trips), callers: map[string]*breaker.Breaker{}}
}

func newBreaker(now func() time.Time, trips *metrics.Counter) *breaker.Breaker {
	return &breaker.Breaker{
		Failures: tripAfter, Within: tripWithin, Rest: restFirst, Longest: restLongest,
		Now: now, Opened: trips.Inc,
	}
}

// Unavailable is the refusal of a plan whose module is in quarantine for the caller.
type Unavailable struct {
	Module string
	Wait   time.Duration // until the next attempt may be made
}

func (u *Unavailable) Error() string {
	return fmt.Sprintf("%v: %q, for %s", ErrQuarantined, u.Module, u.Wait.Round(time.Second))
}

// Is reports that the module is in quarantine.
func (*Unavailable) Is(err error) bool { return err == ErrQuarantined }

// wait tells for how long a caller may not use the module; zero when it may. It
// takes no probe.
func (q *quarantine) wait(caller string) (longest time.Duration) {
	for _, b := range q.of(caller) {
		longest = max(longest, b.Wait())
	}
	return longest
}

// quarantined tells whether the module is in quarantine for everybody.
func (q *quarantine) quarantined() bool { return q.all.Open() }

// of are the breakers that a call of a caller passes: his own, if there is one, and the
// module's.
func (q *quarantine) of(caller string) []*breaker.Breaker {
	q.mu.Lock()
	defer q.mu.Unlock()
	if own := q.callers[caller]; own != nil {
		return []*breaker.Breaker{own, q.all}
	}
	return []*breaker.Breaker{q.all}
}

// allow tells whether a call may be made. Its outcome must be reported.
func (q *quarantine) allow(caller string) bool {
	all := q.of(caller)
	for i, b := range all {
		if b.Allow() {
			continue
		}
		for _, before := range all[:i] {
			before.Done(breaker.Nothing, q.now())
		}
		return false
	}
	return true
}

func (q *quarantine) success(caller string) { q.done(caller, breaker.OK) }

// undecided gives probes back: the call failed for a reason of its own.
func (q *quarantine) undecided(caller string) { q.done(caller, breaker.Nothing) }

func (q *quarantine) done(caller string, r breaker.Result) {
	for _, b := range q.of(caller) {
		b.Done(r, q.now())
	}
}

// failure counts a failure against the caller, and against the module when it is not
// this caller's alone. Log records have no caller: theirs count against the module.
func (q *quarantine) failure(caller string, payload []byte) {
	if caller == "" {
		q.all.Done(breaker.Failed, q.now())
		return
	}
	q.own(caller).Done(breaker.Failed, q.now())
	if q.spreads(caller, payload) {
		q.all.Trip()
		return
	}
	q.all.Done(breaker.Nothing, q.now())
}

// own is the caller's breaker, made when there is none.
func (q *quarantine) own(caller string) *breaker.Breaker {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.callers[caller]
	if b == nil {
		q.makeRoom()
		b = newBreaker(q.now, q.trips)
		q.callers[caller] = b
	}
	return b
}

// makeRoom forgets breakers that keep nobody away, and if all do, one of them.
func (q *quarantine) makeRoom() {
	if len(q.callers) < maxQuarantines {
		return
	}
	for c, b := range q.callers {
		if !b.Open() {
			delete(q.callers, c)
		}
	}
	for c := range q.callers {
		if len(q.callers) < maxQuarantines {
			return
		}
		delete(q.callers, c)
	}
}

// spreads remembers a failure and tells whether the recent ones are of enough callers
// and inputs to be the module's own.
func (q *quarantine) spreads(caller string, payload []byte) bool {
	sum := sha256.Sum256(payload)
	f := failed{caller: caller, input: [8]byte(sum[:8]), at: q.now()}
	q.mu.Lock()
	defer q.mu.Unlock()
	callers, inputs := map[string]bool{caller: true}, map[[8]byte]bool{f.input: true}
	kept := q.recent[:0]
	for _, old := range q.recent {
		if f.at.Sub(old.at) > tripWithin || old.caller == caller && old.input == f.input {
			continue
		}
		kept = append(kept, old)
		callers[old.caller], inputs[old.input] = true, true
	}
	if len(kept) >= maxQuarantines {
		kept = kept[1:]
	}
	q.recent = append(kept, f)
	return len(callers) >= tripCallers && len(inputs) >= tripInputs
}
