package leases

import (
	"context"
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// state is what this gateway knows of one caller's leases without asking Vault.
type state struct {
	mu       sync.Mutex     // guards the fields below
	reserved []*Reservation // of leases that are being issued, oldest first
	maybe    bool           // the registry may hold leases of the caller
	writes   int            // entries that were written
	listed   time.Time      // when the registry was last listed
}

func (r *Registry) stateOf(key string) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.callers == nil {
		r.callers = map[string]*state{}
	}
	s := r.callers[key]
	if s == nil {
		s = &state{}
		r.callers[key] = s
	}
	return s
}

// forget drops the state of a caller that was revoked.
func (r *Registry) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.callers, key)
}

// prune drops the states of callers that are not known any more.
func (r *Registry) prune(known func(key string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range r.callers {
		if !known(key) && !s.busy() {
			delete(r.callers, key)
		}
	}
}

// busy reports whether a lease is being issued.
func (s *state) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reserved) > 0
}

// listDue reports whether the caller's leases should be listed.
func (s *state) listDue(every time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maybe || time.Since(s.listed) > every
}

// added notes that an entry is about to be written.
func (s *state) added() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maybe = true
	s.writes++
}

func (s *state) writeCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// wasListed notes the result of a listing. That there are no leases is certain only when
// nothing was written since the listing began; writes is the count of then.
func (s *state) wasListed(found bool, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maybe, s.listed = found || writes != s.writes, time.Now()
}

// Reservation is a place among the leases that a caller may hold. It is taken before the
// lease is issued, so that concurrent calls cannot all take the last place. It holds for
// this gateway alone: with several replicas, each may issue one lease too many at the
// same moment. A nil Reservation does nothing.
type Reservation struct {
	of    *state
	entry string    // name of the entry of the lease, empty until it is issued
	until time.Time // a reservation that was not released by then is void
}

// Reserve takes a place among the leases that a caller may hold. The error is LeaseQuota
// when there is none. Without a registry it returns nil.
func (r *Registry) Reserve(ctx context.Context, key string) (*Reservation, error) {
	if r.Mount == "" {
		return nil, nil
	}
	s := r.stateOf(key)
	place, taken := s.reserve(time.Now().Add(3 * r.Timeout))
	n, err := r.count(ctx, key, s, taken)
	if err == nil && n > r.Max {
		err = call.Errorf(call.LeaseQuota, "you hold as many leases as you may, which is %d; revoke one (db.leases lists them)", r.Max)
	}
	if err == nil {
		err = r.Budgets.Claim(budget.Who{Caller: key}, budget.Leases, int64(n))
	}
	if err != nil {
		place.Release()
		return nil, err
	}
	return place, nil
}

// count is how many leases and reservations there are. A reservation whose lease was
// registered meanwhile counts once.
func (r *Registry) count(ctx context.Context, key string, s *state, taken []*Reservation) (int, error) {
	f := r.leases(key)
	names, err := f.names(ctx)
	if err != nil {
		return 0, err
	}
	if n := s.union(names, taken); n <= r.Max {
		return n, nil
	}
	entries, err := f.entries(ctx) // removes those that have expired
	if err != nil {
		return 0, err
	}
	names = names[:0]
	for _, e := range entries {
		names = append(names, e.name())
	}
	return s.union(names, taken), nil
}

// reserve adds a reservation, and returns it and all that are valid now, itself included.
func (s *state) reserve(until time.Time) (place *Reservation, taken []*Reservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, taken = &Reservation{of: s, until: until}, s.reserved[:0]
	for _, r := range s.reserved {
		if time.Now().Before(r.until) {
			taken = append(taken, r)
		}
	}
	s.reserved = append(taken, place)
	return place, append([]*Reservation(nil), s.reserved...)
}

// union is how many entries and reservations there are; a reservation with an entry is
// counted once.
func (s *state) union(names []string, taken []*Reservation) int {
	all := make(map[string]bool, len(names))
	for _, n := range names {
		all[n] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	free := 0
	for _, r := range taken {
		switch {
		case r.entry != "":
			all[r.entry] = true
		case time.Now().Before(r.until):
			free++
		}
	}
	return len(all) + free
}

// updateBudget counts the leases of a caller that were listed, and those that are being
// issued, against the budget of all callers.
func (r *Registry) updateBudget(key string, s *state, held []Entry) {
	names := make([]string, len(held))
	for i, e := range held {
		names[i] = e.name()
	}
	s.mu.Lock()
	reserved := append([]*Reservation(nil), s.reserved...)
	s.mu.Unlock()
	r.Budgets.Count(budget.Who{Caller: key}, budget.Leases, int64(s.union(names, reserved)))
}

// fill names the entry that takes the place of a reservation, before it is written.
func (r *Reservation) fill(entry string) {
	if r == nil {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.entry = entry
}

// Release ends a reservation. The lease's entry, if there is one, takes its place.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	s := r.of
	s.mu.Lock()
	defer s.mu.Unlock()
	r.until = time.Time{}
	s.maybe = true // the budget is updated with the next listing: no lease may have been issued
	for i, other := range s.reserved {
		if other == r {
			s.reserved = append(s.reserved[:i:i], s.reserved[i+1:]...)
			return
		}
	}
}
