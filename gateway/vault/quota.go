package vault

import (
	"context"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// reservation is a place among the leases of a caller that is taken before the lease is
// made, so that calls at the same time cannot all find the last one free. It holds for
// this gateway alone: with several, each may issue one too many at the same moment.
type reservation struct {
	note  string    // name of the note that takes its place, empty as long as there is no lease
	until time.Time // what is not released by then, has got lost
}

// reserve takes a place among the leases that a caller may hold.
func (c *Client) reserve(ctx context.Context, h *holder) (*reservation, error) {
	if c.book.Mount == "" || h == nil {
		return nil, nil
	}
	mine, taken := h.reserve(time.Now().Add(3 * c.timeout))
	n, err := c.count(ctx, h, taken)
	if err == nil && n > c.guard.Max {
		err = call.Errorf(call.LeaseQuota, "you hold as many leases as you may, which is %d; revoke one (db.leases lists them)", c.guard.Max)
	}
	if err == nil {
		err = c.budgets.Claim(budget.Who{Caller: h.key}, budget.Leases, int64(n))
	}
	if err != nil {
		h.release(mine)
		return nil, err
	}
	return mine, nil
}

// count is how many leases and places are taken. A place whose lease has been noted
// meanwhile counts once.
func (c *Client) count(ctx context.Context, h *holder, taken []*reservation) (int, error) {
	page := c.leases(h.key)
	names, err := page.names(ctx)
	if err != nil {
		return 0, err
	}
	if n := h.union(names, taken); n <= c.guard.Max {
		return n, nil
	}
	notes, err := page.notes(ctx) // some may have expired
	if err != nil {
		return 0, err
	}
	names = names[:0]
	for _, n := range notes {
		names = append(names, n.name())
	}
	return h.union(names, taken), nil
}

// reserve adds a reservation, and returns it and all that are older, itself included.
func (h *holder) reserve(until time.Time) (*reservation, []*reservation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mine, taken := &reservation{until: until}, h.reserved[:0]
	for _, r := range h.reserved {
		if time.Now().Before(r.until) {
			taken = append(taken, r)
		}
	}
	h.reserved = append(taken, mine)
	return mine, append([]*reservation(nil), h.reserved...)
}

// union is how many names and reservations there are, those with a name counted once.
func (h *holder) union(names []string, taken []*reservation) int {
	all := make(map[string]bool, len(names))
	for _, n := range names {
		all[n] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	free := 0
	for _, r := range taken {
		switch {
		case r.note != "":
			all[r.note] = true
		case time.Now().Before(r.until):
			free++
		}
	}
	return len(all) + free
}

// counted says how many leases a caller has that was looked after, beside those that
// are being made.
func (c *Client) counted(h *holder, held []note) {
	names := make([]string, len(held))
	for i, n := range held {
		names[i] = n.name()
	}
	h.mu.Lock()
	making := append([]*reservation(nil), h.reserved...)
	h.mu.Unlock()
	c.budgets.Count(budget.Who{Caller: h.key}, budget.Leases, int64(h.union(names, making)))
}

// noting says which note takes the place of a reservation, before it is written.
func (h *holder) noting(r *reservation, name string) {
	if r == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.note = name
}

// release gives a place back, or leaves it to the note that has taken it.
func (h *holder) release(r *reservation) {
	if r == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.until = time.Time{}
	h.leases = true // they are counted anew at the next visit: this place may have been for none
	for i, other := range h.reserved {
		if other == r {
			h.reserved = append(h.reserved[:i:i], h.reserved[i+1:]...)
			return
		}
	}
}
