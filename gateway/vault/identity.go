package vault

import (
	"context"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
	"portcullis/gateway/retry/breaker"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// newRoot makes the cell of the gateway's own token.
func (c *Client) newRoot() *tokencache.Source {
	u := &unwrapped{}
	return &tokencache.Source{
		Get:     func(ctx context.Context) (tokencache.Token, error) { return c.logIn(ofNoCall(ctx), u) },
		Timeout: c.timeout,
		Ahead:   true,
		Discard: func(t tokencache.Token) {
			ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
			defer cancel()
			if err := c.revokeSelf(ctx, t); err != nil {
				c.log.Warn("a replaced Vault token of the gateway could not be revoked; it lives until its TTL ends", "cause", err)
			}
		},
	}
}

// rootCheckEvery bounds how long a change of the token is not noticed by keepRoot.
const rootCheckEvery = 5 * time.Second

// keepRoot keeps the gateway's token alive: it is renewed at two thirds of its
// life, and got anew when it cannot be renewed.
func (c *Client) keepRoot(ctx context.Context) {
	defer c.retired.Wait()
	var said string  // why there was no token
	var at time.Time // when that was said
	for ctx.Err() == nil {
		t, err := c.root.Token(ctx)
		if err != nil {
			if text := err.Error(); ctx.Err() == nil && (text != said || time.Since(at) > time.Minute) {
				c.log.Warn("the gateway has no Vault token: every call is refused; it tries again every second", "cause", err)
				said, at = text, time.Now()
			}
			retry.Sleep(ctx, rootCheckEvery/5)
			continue
		}
		if said != "" {
			c.log.Info("the gateway has a Vault token again")
			said = ""
		}
		if t.Life == 0 {
			retry.Sleep(ctx, c.learnLife(ctx, t))
			continue
		}
		if due := t.Left() - t.Life/3; due > 0 {
			retry.Sleep(ctx, min(due, rootCheckEvery))
			continue
		}
		c.renewRoot(ctx, t)
	}
}

// lookUp asks what Vault knows of the gateway's own token (auth/token/lookup-self,
// Vault API).
func (c *Client) lookUp(ctx context.Context, t tokencache.Token) (known tokenFacts, err error) {
	err = c.exchange(ctx, wire.Request{Method: wire.Get, Path: "auth/token/lookup-self", Token: t.Value}, wire.WantData(&known))
	c.noteAccepted(err)
	if slices.Contains(known.Policies, "root") {
		c.tellRoot()
	}
	return known, err
}

// tokenFacts are what Vault knows of a token.
type tokenFacts struct {
	Accessor  *string           `json:"accessor"`
	TTL       int64             `json:"ttl"` // seconds, 0 for a token that does not end
	Renewable bool              `json:"renewable"`
	Policies  []string          `json:"policies"`
	Meta      map[string]string `json:"meta"` // of the login
}

// Complete implements Reply.
func (f *tokenFacts) Complete() bool { return f.Accessor != nil && wire.IsTTL(f.TTL) }

// noteAccepted keeps, and logs once, whether Vault accepts the gateway's own token; err
// is the result of a request with it.
func (c *Client) noteAccepted(err error) {
	switch {
	case call.Is(err, call.VaultAuth):
		if !c.refused.Swap(true) {
			c.log.Error("Vault does not accept the gateway's token: every call is refused until it does", "cause", err)
		}
	case verdict(err) == breaker.OK && c.refused.Load() && c.refused.Swap(false):
		c.log.Info("Vault accepts the gateway's token again")
	}
}

// learnLife finds out how long a token that was given to the gateway lives, or
// whether its file has another one. It returns when to look again.
func (c *Client) learnLife(ctx context.Context, t tokencache.Token) time.Duration {
	if c.login.TokenFile != "" {
		if now, err := readSecret(c.login.TokenFile); err == nil && now != t.Value {
			c.root.Drop(t.Value)
		}
		return rootCheckEvery // somebody else renews it
	}
	known, err := c.lookUp(ctx, t)
	if err != nil {
		return rootCheckEvery
	}
	if known.TTL == 0 || !known.Renewable {
		return time.Hour
	}
	c.root.Renewed(t.Value, time.Duration(known.TTL)*time.Second)
	return 0
}

// renewRoot prolongs the gateway's token (auth/token/renew-self, Vault API). Near
// its longest life Vault gives less and less; then another one is got.
func (c *Client) renewRoot(ctx context.Context, t tokencache.Token) {
	a := wire.WantTTL()
	err := c.exchange(ctx, wire.Request{Method: wire.Post, Path: "auth/token/renew-self", Token: t.Value, Body: []byte("{}"), Safe: true}, a)
	life := a.Token().Life
	switch {
	case err == nil && (life > t.Life/2 || !c.login.logsIn()):
		c.root.Renewed(t.Value, life)
		return
	case call.Is(err, call.VaultAuth):
		c.root.Drop(t.Value)
		return
	case c.login.logsIn() && (err == nil || !call.Is(err, call.VaultUnavailable)):
		if err = c.root.Replace(ctx); err == nil {
			c.retire(ctx, t)
			return
		}
	}
	if err != nil {
		c.log.Warn("the gateway's Vault token could not be renewed; the gateway tries again, and calls fail when the TTL ends", "cause", err)
		retry.Sleep(ctx, rootCheckEvery/5)
	}
}

// retire revokes a token that was replaced, once the callers' tokens that were made
// with it have ended. Where callers have none, it is left to end by itself, because
// credentials that were issued with it end with it.
func (c *Client) retire(ctx context.Context, t tokencache.Token) {
	if !c.callers.Enabled {
		return
	}
	c.retired.Go(func() {
		retry.Sleep(ctx, c.callers.TTL)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		if err := c.revokeSelf(ctx, t); err != nil && !call.Is(err, call.VaultAuth) { // it may have ended
			c.log.Warn("a replaced Vault token of the gateway could not be revoked; it lives until its TTL ends", "cause", err)
		}
	})
}

// revokeSelf ends a token by itself (auth/token/revoke-self, Vault API).
func (c *Client) revokeSelf(ctx context.Context, t tokencache.Token) error {
	return c.exchange(ctx, wire.Request{Method: wire.Post, Path: "auth/token/revoke-self", Token: t.Value, Body: []byte("{}")}, nil)
}

// TokenRole reports whether a token role exists (auth/token/roles, Vault API): NotFound
// when it does not, Forbidden when the gateway may not look.
func (c *Client) TokenRole(ctx context.Context, name string) error {
	return c.asGateway(ctx, wire.Request{Method: wire.Get, Path: "auth/token/roles/" + name}, nil)
}
