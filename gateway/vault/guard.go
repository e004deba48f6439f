package vault

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/call"
)

// Guard says how leases and policies are looked after.
type Guard struct {
	Every time.Duration // how often they are looked at, 10s
	Max   int           // leases that one caller may hold, 100
	// Idle is how long after its last call a caller is taken to have gone: its leases
	// are revoked and its policy is removed. 0 means an hour, less than 0 never.
	Idle time.Duration
	// Renew prolongs leases while their caller has not gone.
	Renew bool
	// Allowed reports whether a caller may still hold a lease; one that it may not is
	// revoked. Optional.
	Allowed func(context.Context, *call.Caller, Held) bool
}

func (g Guard) withDefaults() Guard {
	if g.Every <= 0 {
		g.Every = 10 * time.Second
	}
	if g.Max <= 0 {
		g.Max = 100
	}
	if g.Idle == 0 {
		g.Idle = time.Hour
	}
	return g
}

// watch looks after what callers hold until ctx ends.
func (c *Client) watch(ctx context.Context) {
	for sleep(ctx, c.guard.Every) {
		for _, h := range c.holders.list() {
			if err := c.visit(ctx, h); err != nil && ctx.Err() == nil {
				c.log.Warn("what a caller holds in Vault could not be looked after", "caller", h.key, "cause", err)
			}
		}
	}
}

// visit looks after one caller.
func (c *Client) visit(ctx context.Context, h *holder) error {
	_, seen := h.now()
	idle := c.guard.Idle > 0 && time.Since(seen) > c.guard.Idle
	var problems []error
	if !idle && c.holders.Enabled && h.batch.Peek().Value != "" {
		if _, err := h.keepPolicy(ctx, false); err != nil && !call.Is(err, call.Forbidden) {
			problems = append(problems, err)
		}
	}
	var held []note
	if c.book.Mount != "" {
		var err error
		held, err = c.leases(h.key).notes(ctx)
		problems = append(problems, err)
	}
	if idle {
		return c.leave(ctx, h, held)
	}
	for _, n := range held {
		problems = append(problems, c.look(ctx, h, n))
	}
	if len(held) > 0 && c.holders.Enabled {
		problems = append(problems, c.keepTokens(ctx, h))
	}
	return errors.Join(problems...)
}

// leave ends what a caller holds that has not called for long, unless another
// replica has seen it since.
func (c *Client) leave(ctx context.Context, h *holder, held []note) error {
	for _, n := range held {
		if time.Since(time.Unix(n.Seen, 0)) < c.guard.Idle {
			c.holders.take(h.key)
			return nil
		}
	}
	return c.Kill(ctx, h.key)
}

// look revokes a lease that is not allowed any more, and prolongs one that ends
// before it is looked at often enough.
func (c *Client) look(ctx context.Context, h *holder, n note) error {
	caller, seen := h.now()
	page := c.leases(h.key)
	if c.guard.Allowed != nil && !c.guard.Allowed(ctx, caller, n.held()) {
		err := c.endLease(ctx, h.key, n.Lease)
		if err == nil || call.Is(err, call.NotFound) {
			err = page.drop(ctx, n)
		}
		return err
	}
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
	l, err := c.renewLease(ctx, h.key, n.Lease, int(life))
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
		if t := h.lease.Peek(); t.Accessor == n.Accessor {
			h.lease.Renewed(t.Value, life)
		}
		n.Renewed, n.Expires = now, now+int64(life/time.Second)
		problems = append(problems, unlessChanged(page.write(ctx, n)))
	}
	return errors.Join(problems...)
}

// room holds a caller to the number of leases that it may hold.
func (c *Client) room(ctx context.Context, caller *call.Caller) error {
	if c.book.Mount == "" {
		return nil
	}
	page := c.leases(caller.Key())
	names, err := page.names(ctx)
	if err != nil {
		return err
	}
	n := len(names)
	if n >= c.guard.Max { // some may have expired
		held, err := page.notes(ctx)
		if err != nil {
			return err
		}
		n = len(held)
	}
	if n >= c.guard.Max {
		return call.Errorf(call.LeaseQuota, "you hold as many leases as you may")
	}
	return nil
}

// Kill takes from a caller whatever it holds in Vault: its policy, and with it the
// rights of its tokens, its leases, and the tokens that they hang on. It does what
// it can even when a part fails. The caller gets a new token when it is let in
// again; keeping it out is for authentication and policy.
func (c *Client) Kill(ctx context.Context, callerKey string) error {
	var problems []error
	if c.holders.Enabled {
		if h := c.holders.take(callerKey); h != nil {
			h.batch.Close()
			h.lease.Close()
		}
		problems = append(problems, c.dropPolicy(ctx, callerKey))
	} else {
		c.holders.take(callerKey)
	}
	if c.book.Mount == "" {
		return errors.Join(problems...)
	}
	return errors.Join(append(problems, c.endTokens(ctx, callerKey), c.endLeases(ctx, callerKey))...)
}

func (c *Client) endTokens(ctx context.Context, key string) error {
	page := c.tokens(key)
	notes, err := page.notes(ctx)
	problems := []error{err}
	for _, n := range notes {
		if err := c.endToken(ctx, key, n.Accessor); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, page.drop(ctx, n))
	}
	return errors.Join(problems...)
}

func (c *Client) endLeases(ctx context.Context, key string) error {
	page := c.leases(key)
	notes, err := page.notes(ctx)
	problems := []error{err}
	for _, n := range notes {
		if err := c.endLease(ctx, key, n.Lease); err != nil && !call.Is(err, call.NotFound) {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, page.drop(ctx, n))
	}
	return errors.Join(problems...)
}

// held is the public form of a note about a lease.
func (n note) held() Held {
	return Held{ID: n.Lease, Role: n.Role, Issued: time.Unix(n.Issued, 0).UTC(), Expires: time.Unix(n.Expires, 0).UTC()}
}
