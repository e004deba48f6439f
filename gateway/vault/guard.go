package vault

import (
	"context"
	"errors"
	"strings"
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
	// Allowed reports whether a credential may still hold a lease; one that it may not
	// is revoked. Optional.
	Allowed func(context.Context, *call.Caller, Held) bool
	// Ended reports whether a credential was shut out: whatever it holds is revoked.
	// Optional; KillIf does the same at once.
	Ended func(*call.Caller) bool
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
		c.complain(ctx, "book", c.recall(ctx))
		for _, key := range c.holders.doomed() {
			c.complain(ctx, key, c.Kill(ctx, key))
		}
		for _, h := range c.holders.list() {
			c.complain(ctx, h.key, c.visit(ctx, h))
		}
	}
}

func (c *Client) complain(ctx context.Context, key string, err error) {
	if err != nil && ctx.Err() == nil {
		c.log.Warn("what a caller holds in Vault could not be looked after", "caller", key, "cause", err)
	}
}

// visit looks after one caller.
func (c *Client) visit(ctx context.Context, h *holder) error {
	if c.guard.Ended != nil {
		if all, _ := h.over(c.guard.Ended); all {
			return c.Kill(ctx, h.key)
		}
	}
	var problems []error
	if c.holders.Enabled {
		problems = append(problems, h.followPolicies(ctx))
	}
	held, err := c.heldBy(ctx, h)
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	if _, seen := h.now(); c.guard.idle(latest(seen, held)) {
		return c.Kill(ctx, h.key)
	}
	for _, n := range held {
		problems = append(problems, c.look(ctx, h, n))
	}
	if len(held) > 0 && c.holders.Enabled {
		problems = append(problems, c.keepTokens(ctx, h))
	}
	return errors.Join(problems...)
}

// idle reports whether a caller that was here last at a time has gone.
func (g Guard) idle(seen time.Time) bool { return g.Idle > 0 && time.Since(seen) > g.Idle }

// heldBy reads the leases of a caller. For one that had none the last time that is
// done now and then, because another replica may have issued some, and before it
// is taken to have gone.
func (c *Client) heldBy(ctx context.Context, h *holder) ([]note, error) {
	_, seen := h.now()
	if c.book.Mount == "" || !h.due(max(c.guard.Idle/4, 10*c.guard.Every)) && !c.guard.idle(seen) {
		return nil, nil
	}
	noted := h.look()
	held, err := c.leases(h.key).notes(ctx)
	if err == nil {
		h.found(len(held) > 0, noted)
		c.counted(h, held)
	}
	return held, err
}

// latest is when a caller was last here, at whichever replica.
func latest(seen time.Time, held []note) time.Time {
	for _, n := range held {
		if t := time.Unix(n.Seen, 0); t.After(seen) {
			seen = t
		}
	}
	return seen
}

// recall makes the callers known again that are in the book: their leases are
// looked after although they have not called since the gateway was started. The book
// is read once, and not before there is something to do for one of them.
func (c *Client) recall(ctx context.Context) error {
	if c.book.Mount == "" || c.recalled.Load() {
		return nil
	}
	err := c.readCallers(ctx)
	if err == nil {
		c.recalled.Store(true)
	}
	return err
}

func (c *Client) readCallers(ctx context.Context) error {
	callers, err := c.shelf("subjects").names(ctx)
	if err != nil {
		return err
	}
	for _, subject := range callers {
		c.holders.remember("", strings.TrimSuffix(subject, "/"))
	}
	tenants, err := c.shelf("tenants").names(ctx)
	problems := []error{err}
	for _, tenant := range tenants {
		subjects, err := c.shelf("tenants/" + strings.TrimSuffix(tenant, "/")).names(ctx)
		problems = append(problems, err)
		for _, subject := range subjects {
			c.holders.remember(strings.TrimSuffix(tenant, "/"), strings.TrimSuffix(subject, "/"))
		}
	}
	return errors.Join(problems...)
}
