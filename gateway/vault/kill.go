package vault

import (
	"context"
	"errors"

	"portcullis/gateway/call"
)

// Kill takes from a caller whatever it holds in Vault: its policy, and with it the
// rights of its tokens, its leases, and the tokens that they hang on. It does what
// it can even when a part fails. The caller gets a new token when it is let in
// again; keeping it out is for authentication and policy.
//
// What fails is tried again in the background until it is done.
func (c *Client) Kill(ctx context.Context, callerKey string) error {
	h := c.holders.doom(callerKey)
	var problems []error
	if c.holders.Enabled {
		if h != nil {
			h.batch.Close()
			h.lease.Close()
		}
		problems = append(problems, c.dropPolicy(ctx, callerKey))
	}
	if c.book.Mount != "" {
		problems = append(problems, c.endTokens(ctx, callerKey), c.endLeases(ctx, callerKey))
	}
	err := errors.Join(problems...)
	if err == nil {
		c.holders.bury(callerKey)
	}
	return err
}

// KillIf kills every caller that the function names, of those that were here or
// have leases.
func (c *Client) KillIf(ctx context.Context, ended func(*call.Caller) bool) error {
	var problems []error
	for _, h := range c.holders.list() {
		if caller, _ := h.now(); ended(caller) {
			problems = append(problems, c.Kill(ctx, h.key))
		}
	}
	return errors.Join(problems...)
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
