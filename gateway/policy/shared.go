package policy

import (
	"context"
	"sync"
	"time"

	"portcullis/gateway/retry"
)

// Shared is where other replicas find the decisions of this one, and this one theirs.
type Shared struct {
	// Write keeps decisions, and forgets those with the ids in gone. It may be called again
	// with the same after an error.
	Write func(ctx context.Context, told []Told, gone []string) error
	// Read is nil, without an error, where there is no decision of that id.
	Read func(ctx context.Context, id string) (*Told, error)
}

// Told is a decision as replicas tell each other of it.
type Told struct {
	ID     string
	Holder string // whose it is (call.Caller.Holder); nobody else may hear of it
	Record []byte // a line of the decision log: what the policy's data mask is masked
}

const (
	// toldBytes bounds the record of a decision that others are told of.
	toldBytes = 16 << 10
	// toldAtOnce is how many are written together, toldEvery how long the next ones wait for
	// others.
	toldAtOnce = 128
	toldEvery  = 10 * time.Millisecond
	// toldAgain is when those are written again that could not be, toldWithin how long a
	// decision may need until others find it.
	toldAgain  = 200 * time.Millisecond
	toldWithin = 500 * time.Millisecond
)

// telling keeps in the shared store what the ring of a journal has: a decision that leaves the
// ring leaves the store. So one caller has as many there as in memory, and none waits in a
// queue: what the store cannot take now is read from the ring when it can.
type telling struct {
	shared *Shared
	wake   chan struct{} // has one entry when something waits

	mu    sync.Mutex // guards what follows
	waits []int      // places of the ring that are to be written, the oldest first
	due   []bool     // by place: it is among them

	written []string // by place, the id that is in the store; of the one who writes
}

func newTelling(s *Shared, places int) *telling {
	if s == nil {
		return nil
	}
	return &telling{shared: s, wake: make(chan struct{}, 1), due: make([]bool, places), written: make([]string, places)}
}

// add has a place of the ring written. It never waits.
func (t *telling) add(places ...int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	for _, i := range places {
		if !t.due[i] {
			t.due[i] = true
			t.waits = append(t.waits, i)
		}
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

// next are places that are to be written.
func (t *telling) next() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waits), toldAtOnce)
	out := append([]int{}, t.waits[:n]...)
	t.waits = t.waits[:copy(t.waits, t.waits[n:])]
	for _, i := range out {
		t.due[i] = false
	}
	return out
}

// Tell tells other replicas of this one's decisions until ctx ends, and of the last ones then.
func (e *Engine) Tell(ctx context.Context) {
	t := e.log.telling
	if t == nil {
		return
	}
	for last := false; !last; {
		select {
		case <-t.wake:
		case <-ctx.Done():
			last = true
		}
		for e.tellNext(context.WithoutCancel(ctx)) {
			retry.Sleep(ctx, toldEvery)
		}
		if len(t.wake) > 0 { // it has failed
			retry.Sleep(ctx, retry.Jitter(toldAgain, 2))
		}
	}
}

// tellNext writes the decisions that waited longest, and reports whether there were any. Those
// that cannot be written wait again.
func (e *Engine) tellNext(ctx context.Context) bool {
	t := e.log.telling
	places := t.next()
	told, gone, now := make([]Told, 0, len(places)), []string{}, map[int]string{}
	for _, i := range places {
		d := e.log.tell(i)
		if was := t.written[i]; was != "" && was != d.ID {
			gone = append(gone, was)
		}
		if len(d.Record) <= toldBytes {
			told, now[i] = append(told, d), d.ID
		}
	}
	if len(places) == 0 {
		return false
	}
	if t.shared.Write(ctx, told, gone) != nil {
		t.add(places...)
		return false
	}
	for _, i := range places {
		t.written[i] = now[i]
	}
	return true
}

// tell is the decision at a place of the ring.
func (j *journal) tell(i int) Told {
	s := &j.ring[i]
	s.mu.Lock()
	r := s.rec.clone()
	s.mu.Unlock()
	line, err := r.append(nil, j.key)
	if err != nil {
		line = nil // nobody finds it, as in the log
	}
	return Told{r.decision.ID, r.facts.Caller.Holder(), line}
}

// told asks the store for a decision of any replica. One that was made just now may be on its
// way there.
func (e *Engine) told(ctx context.Context, id string) (*Told, error) {
	at, ok := timeOf(id)
	if !ok || e.cfg.Shared == nil {
		return nil, nil
	}
	now := time.Now()
	until := at.Add(toldWithin)
	if latest := now.Add(toldWithin); until.After(latest) {
		until = latest // by another clock
	}
	for {
		d, err := e.cfg.Shared.Read(ctx, id)
		if d != nil || err != nil || !time.Now().Before(until) || !retry.Sleep(ctx, toldEvery) {
			return d, err
		}
	}
}
