// Package credential keeps tokens: one that is needed is got by one goroutine,
// however many ask for it, and replaced before it ends.
package credential

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Token is a Vault token and what is known of it.
type Token struct {
	Value     string
	Accessor  string
	Life      time.Duration // as Vault granted it, 0 for one that does not end
	Renewable bool
	Born      time.Time // set by the Cell
}

// Left is how long the token still lives; a token without an end lives for long.
func (t Token) Left() time.Duration {
	if t.Life == 0 {
		return 24 * time.Hour
	}
	return time.Until(t.Born.Add(t.Life))
}

// usable reports whether a request that is sent now can still use the token: the
// last tenth of a life, at most ten seconds, is not relied on.
func (t Token) usable() bool {
	return t.Value != "" && (t.Life == 0 || t.Left() > min(10*time.Second, t.Life/10))
}

// ErrClosed says that there will be no token any more.
var ErrClosed = errors.New("no more tokens are given out here")

// Cell holds one token. Its fields are set before its first use.
type Cell struct {
	Get func(context.Context) (Token, error) // gets another token; called by one goroutine at a time
	// Timeout bounds Get. It does not end with the caller that happened to ask first.
	Timeout time.Duration
	// Ahead makes the cell replace its token in the background once three quarters of
	// its life are over.
	Ahead bool
	// Lost gets a token that arrived when nobody wanted one any more. Optional.
	Lost func(Token)

	mu     sync.Mutex // guards the fields below
	now    Token
	ahead  time.Time // when to begin replacing it
	flight *flight   // the Get that runs
	wait   backoff
	closed bool
}

// flight is one Get that several wait for.
type flight struct {
	done  chan struct{}
	token Token
	err   error
}

// Token returns a token that was good when last heard of, and gets one when there
// is none. After a failure the same error is returned for a while, so that a
// Vault in trouble is not asked once a call.
func (c *Cell) Token(ctx context.Context) (Token, error) {
	c.mu.Lock()
	if c.now.usable() {
		t := c.now
		if c.Ahead && t.Life > 0 && c.flight == nil && time.Now().After(c.ahead) && c.wait.over() {
			c.launch(ctx)
		}
		c.mu.Unlock()
		return t, nil
	}
	f := c.flight
	if c.closed {
		c.mu.Unlock()
		return Token{}, ErrClosed
	}
	if f == nil {
		if !c.wait.over() {
			defer c.mu.Unlock()
			return Token{}, c.wait.err
		}
		f = c.launch(ctx)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

// launch starts a Get. The caller holds mu.
func (c *Cell) launch(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{})}
	c.flight = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
	go func() {
		defer cancel()
		f.token, f.err = c.Get(ctx)
		f.token.Born = time.Now()
		c.land(f)
	}()
	return f
}

// land keeps what a Get has brought.
func (c *Cell) land(f *flight) {
	c.mu.Lock()
	lost := f.err == nil && c.closed
	t := f.token
	if lost {
		f.token, f.err = Token{}, ErrClosed
	}
	c.flight = nil
	switch {
	case f.err != nil:
		c.wait.fail(f.err)
	case !c.closed:
		c.wait = backoff{}
		c.now = f.token
		c.ahead = f.token.Born.Add(jitter(f.token.Life * 3 / 4))
	}
	c.mu.Unlock()
	if lost && c.Lost != nil {
		c.Lost(t)
	}
	close(f.done)
}

// Replace gets another token although there is one, and waits for it.
func (c *Cell) Replace(ctx context.Context) error {
	c.mu.Lock()
	f := c.flight
	if f == nil {
		f = c.launch(ctx)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Peek returns the token that is there, the zero Token for none.
func (c *Cell) Peek() Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Drop forgets a token that Vault has refused. Another one that has been got
// meanwhile stays.
func (c *Cell) Drop(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Value == value {
		c.now = Token{}
	}
}

// Renewed notes that Vault has prolonged a token.
func (c *Cell) Renewed(value string, life time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Value == value {
		c.now.Born, c.now.Life = time.Now(), life
		c.ahead = c.now.Born.Add(jitter(life * 3 / 4))
	}
}

// Close empties the cell for good and returns what was in it.
func (c *Cell) Close() Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.now
	c.now, c.closed = Token{}, true
	return t
}

// jitter takes up to a tenth off a duration, so that replicas do not act together.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // no secret depends on it
}
