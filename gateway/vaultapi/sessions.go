package vaultapi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Sessions are the tokens that a login gives out: opaque, kept as hashes in memory,
// bound to the caller that has logged in and never longer than its credential. They are
// the gateway's own; Vault knows none of them. A session is refused as soon as its
// credential would be.
type Sessions struct {
	// Login authenticates a request by its ordinary credentials.
	Login func(*http.Request) (*call.Caller, error)
	// Valid reports why a caller is one no longer.
	Valid func(*call.Caller) error

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
}

const (
	mark         = "pcs." // begins the token of a session
	defaultTTL   = time.Hour
	longestTTL   = 32 * 24 * time.Hour
	perCaller    = 256 // the oldest session of a caller makes room
	allOfThem    = 64 << 10
	randomLength = 32
)

func noSession() error { return call.Errorf(call.Unauthenticated, "invalid token") }

// Authenticate tells whose request it is. Below /v1/ the credential is in X-Vault-Token,
// or a bearer as elsewhere: an API key, a JWT or a session.
func (s *Sessions) Authenticate(r *http.Request) (*call.Caller, error) {
	if !strings.HasPrefix(r.URL.Path, Prefix) {
		return s.Login(r)
	}
	token, others := presented(r)
	if !strings.HasPrefix(token, mark) || others > 0 {
		return s.Login(bearing(r, r.Header["X-Vault-Token"]...))
	}
	return s.find(r, token)
}

// presented is the token of a request, and how many other credentials it has.
func presented(r *http.Request) (token string, others int) {
	var all []string
	all = append(all, r.Header["X-Vault-Token"]...)
	for _, a := range r.Header["Authorization"] {
		scheme, value, _ := strings.Cut(a, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			value = ""
		}
		all = append(all, value)
	}
	all = append(all, r.Header["X-Api-Key"]...)
	if len(all) == 0 {
		return "", 0
	}
	return all[0], len(all) - 1
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

// find is the caller of a session. Where the caller's certificate binds its credential,
// it binds the session.
func (s *Sessions) find(r *http.Request, token string) (*call.Caller, error) {
	one := s.live(token)
	if one == nil || one.caller.CertFP != "" && one.caller.CertFP != certificate(r) {
		return nil, noSession()
	}
	if err := s.Valid(one.caller); err != nil {
		s.revoke(one)
		return nil, noSession()
	}
	c := *one.caller
	if c.Expires.IsZero() || one.expires.Before(c.Expires) {
		c.Expires = one.expires
	}
	return &c, nil
}

func certificate(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

// live is the session of a token, nil for none.
func (s *Sessions) live(token string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(token))]
	if one == nil || !time.Now().Before(one.expires) {
		return nil
	}
	return one
}

// begin makes a session for a caller and returns its token. Without a time to live it is
// the usual one.
func (s *Sessions) begin(c *call.Caller, ttl time.Duration) (string, *session, error) {
	if ttl <= 0 {
		ttl = defaultTTL
	}
	now := time.Now()
	one := &session{caller: c, created: now, ttl: min(ttl, longestTTL), end: now.Add(longestTTL)}
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
	return token, one, s.keep(one)
}

// keep keeps a session. What has ended of its caller's goes first, then the oldest.
func (s *Sessions) keep(one *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all, s.of = map[[sha256.Size]byte]*session{}, map[string][]*session{}
	}
	key, now := one.caller.Key(), time.Now()
	for _, old := range append([]*session(nil), s.of[key]...) {
		if !now.Before(old.expires) || len(s.of[key]) >= perCaller {
			s.drop(old)
		}
	}
	if len(s.all) >= allOfThem {
		s.sweep(now)
	}
	if len(s.all) >= allOfThem {
		return call.Errorf(call.Overloaded, "too many sessions: use the credential itself, or try again later")
	}
	s.all[one.hash], s.of[key] = one, append(s.of[key], one)
	return nil
}

// sweep drops what has ended. The caller holds mu.
func (s *Sessions) sweep(now time.Time) {
	for _, old := range s.all {
		if !now.Before(old.expires) {
			s.drop(old)
		}
	}
}

// drop forgets a session. The caller holds mu.
func (s *Sessions) drop(one *session) {
	delete(s.all, one.hash)
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

func (s *Sessions) revoke(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(one)
}

// renew prolongs a session, and returns how long it lives.
func (s *Sessions) renew(one *session, ttl time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= 0 {
		ttl = one.ttl
	}
	now := time.Now()
	if one.expires = now.Add(min(ttl, longestTTL)); one.end.Before(one.expires) {
		one.expires = one.end
	}
	return one.expires.Sub(now)
}
