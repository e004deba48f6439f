// Package tokencache keeps Vault tokens: one goroutine fetches a token that is needed,
// however many ask for it, and replaces it before it expires.
package tokencache

import (
	"context"
	"errors"
	"sync"
	"time"

	"portcullis/gateway/retry"
)

// Token is a Vault token and what is known of it.
type Token struct {
	Value     string
	Accessor  string
	Life      time.Duration // as Vault granted it, 0 for one that does not end
	Renewable bool
	Born      time.Time // set by the Source
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

// Source holds one token and fetches its successor. Its fields are set before its first use.
type Source struct {
	Get func(context.Context) (Token, error) // gets another token; called by one goroutine at a time
	// Timeout bounds Get. It does not end with the caller that happened to ask first.
	Timeout time.Duration
	// Ahead makes the source replace its token in the background once three quarters of
	// its life are over.
	Ahead bool
	// Discard revokes a token that arrived after Close. Optional.
	Discard func(Token)

	mu      sync.Mutex // guards the fields below
	now     Token
	ahead   time.Time            // when to begin replacing it
	running *retry.Shared[Token] // the Get that runs
	wait    backoff
	closed  bool
}

// Token returns the token that is held, and fetches one when there is none or it
// expires within seconds. After a failure the same error is returned for a while, so that a
// Vault in trouble is not asked once a call.
func (s *Source) Token(ctx context.Context) (Token, error) {
	s.mu.Lock()
	if s.now.usable() {
		t := s.now
		if s.Ahead && t.Life > 0 && s.running == nil && time.Now().After(s.ahead) && s.wait.over() {
			s.startFetch(ctx)
		}
		s.mu.Unlock()
		return t, nil
	}
	f := s.running
	if s.closed {
		s.mu.Unlock()
		return Token{}, ErrClosed
	}
	if f == nil {
		if !s.wait.over() {
			defer s.mu.Unlock()
			return Token{}, s.wait.err
		}
		f = s.startFetch(ctx)
	}
	s.mu.Unlock()
	return f.Wait(ctx)
}

// startFetch starts a Get. The caller holds mu.
func (s *Source) startFetch(ctx context.Context) *retry.Shared[Token] {
	s.running = retry.Share(ctx, s.Timeout, func(ctx context.Context) (Token, error) {
		defer s.fetched()
		t, err := s.Get(ctx)
		if err != nil {
			return Token{}, s.failed(err)
		}
		t.Born = time.Now()
		return s.keep(t)
	})
	return s.running
}

// fetched notes that no Get runs any more, also after a panic.
func (s *Source) fetched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
}

// failed notes that a Get has failed, for as long as the next one waits.
func (s *Source) failed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait.fail(err)
	return err
}

// keep holds the token of a Get, or discards it when the source was closed meanwhile.
func (s *Source) keep(t Token) (Token, error) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.wait = backoff{}
		s.now, s.ahead = t, t.Born.Add(retry.Jitter(t.Life/4*3, 10))
	}
	s.mu.Unlock()
	if !closed {
		return t, nil
	}
	if s.Discard != nil {
		s.Discard(t)
	}
	return Token{}, ErrClosed
}

// Replace gets another token although there is one, and waits for it.
func (s *Source) Replace(ctx context.Context) error {
	s.mu.Lock()
	f := s.running
	if f == nil {
		f = s.startFetch(ctx)
	}
	s.mu.Unlock()
	_, err := f.Wait(ctx)
	return err
}

// Peek returns the token that is there, the zero Token for none.
func (s *Source) Peek() Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Drop forgets a token that Vault has refused. Another one that has been got
// meanwhile stays.
func (s *Source) Drop(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Value == value {
		s.now = Token{}
	}
}

// Renewed notes that Vault has prolonged a token.
func (s *Source) Renewed(value string, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now.Value == value {
		s.now.Born, s.now.Life = time.Now(), life
		s.ahead = s.now.Born.Add(retry.Jitter(life/4*3, 10))
	}
}

// Close stops giving out tokens and returns the token that was held, the zero Token for
// none.
func (s *Source) Close() Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.now
	s.now, s.closed = Token{}, true
	return t
}
