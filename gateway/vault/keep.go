package vault

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/call"
)

// look revokes a lease that the credential that it was issued to is not allowed any
// more, and prolongs one that ends before it is looked at often enough.
func (c *Client) look(ctx context.Context, h *holder, n note) error {
	if !c.mayHold(ctx, n) {
		return c.endNoted(ctx, h.key, n)
	}
	_, seen := h.now()
	page := c.leases(h.key)
	now := time.Now().Unix()
	stale := c.guard.Idle > 0 && seen.Unix()-n.Seen > int64(c.guard.Idle/(2*time.Second))
	n.Seen = max(n.Seen, seen.Unix())
	life := c.prolongBy(n, now)
	if life == 0 {
		if stale {
			return unlessChanged(page.write(ctx, n))
		}
		return nil
	}
	l, _, err := c.renewLease(ctx, h.key, n.Lease, int(life))
	if call.Is(err, call.NotFound) {
		return page.drop(ctx, n)
	}
	if err != nil {
		return err
	}
	n.Expires = now + int64(l.Duration)
	if int64(l.Duration) >= life {
		n.Renewed = now // otherwise its longest life is near, and the rest is not a life of its own
	}
	return unlessChanged(page.write(ctx, n))
}

// mayHold reports whether a lease may live on.
func (c *Client) mayHold(ctx context.Context, n note) bool {
	if n.By == nil {
		return true
	}
	if c.guard.Ended != nil && c.guard.Ended(n.By) {
		return false
	}
	return c.guard.Allowed == nil || c.guard.Allowed(ctx, n.By, n.held())
}

// unlessChanged passes over that somebody else has written the same note at the
// same time: the next look reads it again.
func unlessChanged(err error) error {
	if call.Is(err, call.CASMismatch) {
		return nil
	}
	return err
}

// prolongBy is what a lease is to live for from now on, 0 when it is not to be
// prolonged.
func (c *Client) prolongBy(n note, now int64) int64 {
	life, left := n.Expires-n.Renewed, n.Expires-now
	if !c.guard.Renew || !n.Renewable || left > life/3+int64(c.guard.Every/time.Second) {
		return 0
	}
	if n.Ends > 0 {
		life = min(life, n.Ends-now)
	}
	if life <= left {
		return 0 // nothing to be gained
	}
	return life
}

// keepTokens prolongs the tokens that a caller's leases hang on, those of before a
// restart and of other replicas too.
func (c *Client) keepTokens(ctx context.Context, h *holder) error {
	page := c.tokens(h.key)
	notes, err := page.notes(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, n := range notes {
		now := time.Now().Unix()
		if n.Expires-now > (n.Expires-n.Renewed)*2/3 {
			continue
		}
		life, err := c.keepToken(ctx, h.key, n.Accessor)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, cell := range h.leaseTokens() {
			if t := cell.Peek(); t.Accessor == n.Accessor {
				cell.Renewed(t.Value, life)
			}
		}
		n.Renewed, n.Expires = now, now+int64(life/time.Second)
		problems = append(problems, unlessChanged(page.write(ctx, n)))
	}
	return errors.Join(problems...)
}

// held is the public form of a note about a lease.
func (n note) held() Held {
	return Held{ID: n.Lease, Role: n.Role, Issued: time.Unix(n.Issued, 0).UTC(), Expires: time.Unix(n.Expires, 0).UTC()}
}
