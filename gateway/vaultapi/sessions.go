package vaultapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// Sessions are the tokens that a login gives out: opaque, kept as hashes in memory or sealed
// in Shared, bound to the caller that has logged in and never longer than its credential.
// They are the gateway's own; Vault knows none of them. A session is refused as soon as its
// credential would be.
type Sessions struct {
	// Login authenticates a request by its ordinary credentials.
	Login func(*http.Request) (*call.Caller, error)
	// Resume authenticates a request that presents a session: the caller is whose it is,
	// nil for one that is not known.
	Resume func(*http.Request, *call.Caller) (*call.Caller, error)
	// Valid reports why a caller is one no longer.
	Valid   func(*call.Caller) error
	Budgets *budget.Budgets // of sessions; nil bounds nothing
	Shared  *Shared         // of all replicas; nil for those of this process

	mu  sync.Mutex // guards the fields below
	all map[[sha256.Size]byte]*session
	of  map[string][]*session // by the caller's key, oldest first
}

type session struct {
	hash     [sha256.Size]byte
	accessor string
	caller   *call.Caller
	created  time.Time
	expires  time.Time
	end      time.Time // it is not renewed beyond that
	ttl      time.Duration
	parents  []string // names of the sessions that it was begun with, the first one last
}

const (
	mark         = "pcs." // begins the token of a session
	defaultTTL   = time.Hour
	longestTTL   = 32 * 24 * time.Hour
	sweepEvery   = time.Minute
	randomLength = 32
	maxParents   = 8
)

// Authenticate tells whose request it is. Below /v1/ the credential is in X-Vault-Token,
// or a bearer as elsewhere: an API key, a JWT or a session.
func (s *Sessions) Authenticate(r *http.Request) (*call.Caller, error) {
	if !strings.HasPrefix(r.URL.Path, Prefix) {
		return s.Login(r)
	}
	r = without(r)
	token, others := presented(r)
	if strings.HasPrefix(token, mark) && others == 0 {
		return s.find(r, token)
	}
	c, err := s.Login(bearing(r, r.Header["X-Vault-Token"]...))
	return c, explained(r, err)
}

// presented is the token of a request, and how many other credentials it has.
func presented(r *http.Request) (token string, others int) {
	n := 0
	add := func(value string) {
		if n++; n == 1 {
			token = value
		}
	}
	for _, t := range r.Header["X-Vault-Token"] {
		add(t)
	}
	for _, a := range r.Header["Authorization"] {
		scheme, value, _ := strings.Cut(a, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			value = ""
		}
		add(value)
	}
	for _, k := range r.Header["X-Api-Key"] {
		add(k)
	}
	return token, max(n-1, 0)
}

// bearing is a request with tokens as bearers beside what it has, and no other change. A
// request with two credentials stays one with two.
func bearing(r *http.Request, tokens ...string) *http.Request {
	if len(tokens) == 0 {
		return r
	}
	other := *r
	other.Header = r.Header.Clone()
	other.Header.Del("X-Vault-Token")
	for _, t := range tokens {
		other.Header.Add("Authorization", "Bearer "+t)
	}
	return &other
}

// find is the caller of a session. One whose credential has ended is forgotten.
func (s *Sessions) find(r *http.Request, token string) (*call.Caller, error) {
	one, until, err := s.live(r.Context(), token)
	if err != nil {
		return nil, err
	}
	if one != nil && s.Valid(one.caller) != nil {
		if err := s.revoke(r.Context(), token, one); err != nil {
			return nil, err
		}
		one = nil
	}
	if one == nil {
		return s.Resume(r, nil)
	}
	c, err := s.Resume(r, one.caller)
	if err != nil {
		return nil, err
	}
	if c.Expires.IsZero() || until.Before(c.Expires) {
		c.Expires = until
	}
	c.Sessions = append([]string{s.name(token)}, one.parents...)
	return c, nil
}

// Withdrawn reports why the session of a call that is under way is one no longer: it, or
// one that it was begun with, was revoked. That it has come to its end since does not
// break off what began before. Nil has no sessions. Errors are *call.Error.
func (s *Sessions) Withdrawn(c *call.Caller) error {
	if s == nil || len(c.Sessions) == 0 || !time.Now().Before(c.Expires) {
		return nil
	}
	for _, name := range c.Sessions {
		there, err := s.holds(name)
		if err != nil {
			return err
		}
		if !there {
			return call.Errorf(call.Unauthenticated, "the session was revoked while the call was under way")
		}
	}
	return nil
}

// holds reports whether there is a session of a name.
func (s *Sessions) holds(name string) (bool, error) {
	if s.Shared != nil {
		data, err := s.Shared.Get(context.Background(), name) // whether or not the caller waits for its answer
		if err != nil {
			return false, away(err)
		}
		return data != nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[[sha256.Size]byte([]byte(name))] != nil, nil
}

// live is the session of a token and when it ends, nil for none.
func (s *Sessions) live(ctx context.Context, token string) (*session, time.Time, error) {
	if s.Shared != nil {
		one, err := s.Shared.fetch(ctx, token)
		if one == nil {
			return nil, time.Time{}, err
		}
		return one, one.expires, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(token))]
	if one == nil || !time.Now().Before(one.expires) {
		return nil, time.Time{}, nil
	}
	for _, name := range one.parents {
		if s.all[[sha256.Size]byte([]byte(name))] == nil {
			s.drop(one)
			return nil, time.Time{}, nil
		}
	}
	return one, one.expires, nil
}

// name is what a session is known by to those that were begun with it.
func (s *Sessions) name(token string) string {
	if s.Shared != nil {
		return box(token).Name
	}
	sum := sha256.Sum256([]byte(token))
	return string(sum[:])
}

// begin makes a session for a caller and returns its token. Without a time to live it is
// the usual one. One that is begun with a session, which has parents, ends with each of
// them. A credential that is only good with a proof of its holder's key (RFC 9449) has
// none: the session would be good without.
func (s *Sessions) begin(ctx context.Context, c *call.Caller, ttl time.Duration, parents ...string) (string, *session, error) {
	if len(parents) > maxParents {
		return "", nil, call.Errorf(call.InvalidRequest, "the session was begun with one that was begun with another, %d deep: log in for a new one", maxParents)
	}
	if c.JKT != "" {
		return "", nil, call.Errorf(call.InvalidRequest, "no session is made from a token that is bound to a key (DPoP): it would be usable without the key; send the token itself, with a proof, on each request")
	}
	if ttl <= 0 {
		ttl = defaultTTL
	}
	now := time.Now()
	one := &session{caller: c, created: now, ttl: min(ttl, longestTTL), end: now.Add(longestTTL), parents: parents}
	if !c.Expires.IsZero() && c.Expires.Before(one.end) {
		one.end = c.Expires
	}
	if one.expires = now.Add(one.ttl); one.end.Before(one.expires) {
		one.expires = one.end
	}
	var raw [randomLength]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	token := mark + base64.RawURLEncoding.EncodeToString(raw[:])
	one.hash = sha256.Sum256([]byte(token))
	one.accessor = hex.EncodeToString(one.hash[:8])
	if s.Shared != nil {
		return token, one, s.Shared.put(ctx, token, one, true)
	}
	return token, one, s.keep(one)
}

// keep keeps a session, within what its caller may hold. Where there is no room the
// caller's oldest session goes.
func (s *Sessions) keep(one *session) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all, s.of = map[[sha256.Size]byte]*session{}, map[string][]*session{}
	}
	key, who := one.caller.Key(), budget.Of(one.caller)
	for _, room := range []func(){func() {}, func() { s.sweep(time.Now()) }, func() { s.dropOldest(key) }} {
		room()
		if err = s.Budgets.Take(who, budget.Sessions, 1); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	s.all[one.hash], s.of[key] = one, append(s.of[key], one)
	return nil
}

// Run forgets sessions that have ended, until ctx ends. A nil receiver has none.
func (s *Sessions) Run(ctx context.Context) {
	if s == nil {
		return
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.mu.Lock()
			s.sweep(now)
			s.mu.Unlock()
		}
	}
}

// sweep drops what has ended. The caller holds mu.
func (s *Sessions) sweep(now time.Time) {
	for _, old := range s.all {
		if !now.Before(old.expires) {
			s.drop(old)
		}
	}
}

// dropOldest forgets the session that a caller has had longest. The caller holds mu.
func (s *Sessions) dropOldest(key string) {
	if own := s.of[key]; len(own) > 0 {
		s.drop(own[0])
	}
}

// drop forgets a session. The caller holds mu.
func (s *Sessions) drop(one *session) {
	if s.all[one.hash] != one {
		return
	}
	delete(s.all, one.hash)
	s.Budgets.Give(budget.Of(one.caller), budget.Sessions, 1)
	key := one.caller.Key()
	kept := s.of[key][:0:0]
	for _, other := range s.of[key] {
		if other != one {
			kept = append(kept, other)
		}
	}
	if s.of[key] = kept; len(kept) == 0 {
		delete(s.of, key)
	}
}

func (s *Sessions) revoke(ctx context.Context, token string, one *session) error {
	if s.Shared != nil {
		return s.Shared.drop(ctx, token, one)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(one)
	return nil
}

// renew prolongs a session, and returns how long it lives.
func (s *Sessions) renew(ctx context.Context, token string, one *session, ttl time.Duration) (time.Duration, error) {
	if s.Shared == nil { // one that was fetched is nobody else's
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	if ttl <= 0 {
		ttl = one.ttl
	}
	now := time.Now()
	if one.expires = now.Add(min(ttl, longestTTL)); one.end.Before(one.expires) {
		one.expires = one.end
	}
	if s.Shared != nil {
		return one.expires.Sub(now), s.Shared.put(ctx, token, one, false)
	}
	return one.expires.Sub(now), nil
}
