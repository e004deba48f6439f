package vault

import (
	"context"
	"errors"
	"slices"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// Kill takes from a caller whatever it holds in Vault: its policies, and with them the
// rights of its tokens, its leases, and the tokens that they hang on. It does what
// it can even when a part fails. The caller gets a new token when it is let in
// again; keeping it out is for authentication and policy.
//
// What fails is tried again in the background until it is done.
func (c *Client) Kill(ctx context.Context, callerKey string) error {
	h := c.holders.doom(callerKey)
	var problems []error
	if c.holders.Enabled {
		var own []string
		if h != nil {
			h.close()
			own = h.wrote()
		}
		problems = append(problems, c.dropPolicies(ctx, callerKey, own))
	}
	if c.book.Mount != "" {
		problems = append(problems, c.endTokens(ctx, callerKey), c.endLeases(ctx, callerKey))
	}
	err := errors.Join(problems...)
	if err == nil {
		c.holders.bury(callerKey)
		c.budgets.Count(budget.Who{Caller: callerKey}, budget.Leases, 0)
	}
	return err
}

// KillIf kills every caller, of those that were here or have leases, whose every
// credential the function names. Of one that has others as well the leases end that
// were issued to the named ones.
func (c *Client) KillIf(ctx context.Context, ended func(*call.Caller) bool) error {
	problems := []error{c.recall(ctx)}
	for _, h := range c.holders.list() {
		all, some := h.over(ended)
		if all {
			problems = append(problems, c.Kill(ctx, h.key))
			continue
		}
		if some && c.holders.Enabled {
			problems = append(problems, h.followPolicies(ctx))
		}
		problems = append(problems, c.endLeasesOf(ctx, h, ended))
	}
	return errors.Join(problems...)
}

// over reports whether all or some of the credentials have ended, and forgets those
// that have when there are others.
func (h *holder) over(ended func(*call.Caller) bool) (all, some bool) {
	callers := h.callers()
	over := slices.DeleteFunc(slices.Clone(callers), func(c *call.Caller) bool { return !ended(c) })
	if len(over) == len(callers) {
		return true, true
	}
	for _, c := range over {
		h.drop(c)
	}
	return false, len(over) > 0
}

// endLeasesOf ends the leases that were issued to credentials that have ended.
func (c *Client) endLeasesOf(ctx context.Context, h *holder, ended func(*call.Caller) bool) error {
	if c.book.Mount == "" || !h.due(c.guard.Idle) {
		return nil
	}
	notes, err := c.leases(h.key).notes(ctx)
	problems := []error{err}
	for _, n := range notes {
		if n.By != nil && ended(n.By) {
			problems = append(problems, c.endNoted(ctx, h.key, n))
		}
	}
	return errors.Join(problems...)
}

// endNoted ends a lease and drops its note.
func (c *Client) endNoted(ctx context.Context, key string, n note) error {
	if err := c.endLease(ctx, key, n.Lease); err != nil && !call.Is(err, call.NotFound) {
		return err
	}
	return c.leases(key).drop(ctx, n)
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
	notes, err := c.leases(key).notes(ctx)
	problems := []error{err}
	for _, n := range notes {
		problems = append(problems, c.endNoted(ctx, key, n))
	}
	return errors.Join(problems...)
}
