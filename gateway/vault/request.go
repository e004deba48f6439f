package vault

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/retry/breaker"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// asGateway sends a request with the gateway's own token.
func (c *Client) asGateway(ctx context.Context, r wire.Request, a *wire.Answer) error {
	return c.withToken(ctx, c.root, r, a)
}

// withToken sends a request with the token of a source and decodes the whole answer into
// a; nil needs nothing of it. When Vault no longer knows the token and another can be
// had, the request is sent once more: Vault has done nothing for the dead one. Errors are
// *call.Error.
func (c *Client) withToken(ctx context.Context, source *tokencache.Source, r wire.Request, a *wire.Answer) (err error) {
	t, err := source.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	if source == c.root {
		defer func() { c.noteAccepted(err) }()
	}
	r.Token = t.Value
	err = c.exchange(ctx, r, a)
	if !call.Is(err, call.VaultAuth) || source == c.root && !c.login.renews() {
		return err
	}
	source.Drop(t.Value)
	if t, err = source.Token(ctx); err != nil {
		return tokenFailed(err)
	}
	r.Token = t.Value
	return c.exchange(ctx, r, a)
}

// exchange sends a request when its caller has a place and Vault is there, and decodes
// the whole answer into a. It follows a standby to the active node. A read is sent a
// second time when its connection broke; nothing else is ever sent twice.
func (c *Client) exchange(ctx context.Context, r wire.Request, a *wire.Answer) (err error) {
	ended := c.track(ctx, &r)
	defer func() { ended(err) }()
	t := &attempt{client: c, caller: ctx, request: r, answer: a}
	defer t.leave(breaker.Nothing) // does nothing but after a panic, which says nothing about Vault
	for t.begin() {
		t.end(t.send())
	}
	return t.err
}
