package transform

import (
	"sync"
	"time"

	"portcullis/gateway/transform/guest"
)

// The penalty of a caller whose call runs a module out of fuel: the call takes
// penaltyShare times longer, at most penaltyMax, and for penaltyFor after it the caller's
// calls run one after the other. A call waits for that at most slotWait.
const (
	penaltyShare = 10
	penaltyMax   = 250 * time.Millisecond
	penaltyFor   = 10 * time.Second
	slotWait     = time.Second
)

// fuelPenalty bounds the share of the CPU time that callers take whose calls run modules
// out of fuel, however many calls they make at once. Nothing can interrupt a guest, so
// other callers may have to wait while one runs.
type fuelPenalty struct {
	mu        sync.Mutex // guards the fields below
	penalised map[string]*slot
}

// slot lets one call of a caller run at a time.
type slot struct {
	place chan struct{} // full while a call runs
	users int           // calls that run or wait
	until time.Time
}

// enter waits until the caller's slot is free; a caller without a penalty has none.
func (p *fuelPenalty) enter(subject string) (*slot, error) {
	p.mu.Lock()
	t := p.penalised[subject]
	if t == nil {
		p.mu.Unlock()
		return nil, nil
	}
	t.users++
	p.mu.Unlock()
	late := time.NewTimer(slotWait)
	defer late.Stop()
	select {
	case t.place <- struct{}{}:
		return t, nil
	case <-late.C:
		p.dropUser(subject, t)
		return nil, &guest.Fault{Code: guest.Busy}
	}
}

// leave ends a call that ran for took. A call that ran out of fuel ends later.
func (p *fuelPenalty) leave(subject string, t *slot, took time.Duration, outOfFuel bool) {
	if outOfFuel {
		p.penalise(subject)
		time.Sleep(min(penaltyShare*took, penaltyMax))
	}
	if t != nil {
		<-t.place
		p.dropUser(subject, t)
	}
}

// penalise makes the caller's calls run one after the other from now on, and forgets the
// penalties that are over.
func (p *fuelPenalty) penalise(subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.penalised == nil {
		p.penalised = map[string]*slot{}
	}
	now := time.Now()
	for s, t := range p.penalised {
		if t.users == 0 && now.After(t.until) {
			delete(p.penalised, s)
		}
	}
	if p.penalised[subject] == nil {
		p.penalised[subject] = &slot{place: make(chan struct{}, 1)}
	}
	p.penalised[subject].until = now.Add(penaltyFor)
}

func (p *fuelPenalty) dropUser(subject string, t *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.users--; t.users == 0 && time.Now().After(t.until) && p.penalised[subject] == t {
		delete(p.penalised, subject)
	}
}
