package callers

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"time"

	"portcullis/gateway/call"
)

// credential is one way in which a caller authenticates. Credentials of one caller may
// have different roles, so the rights of one do not follow from those of another.
type credential struct {
	id     sum          // its fingerprint
	caller *call.Caller // as last seen
	seen   time.Time
	tokens []*tokenSet // one for each engine that the credential has used
}

// of is the token set for operations on an engine, nil for none.
func (cr *credential) of(engine string) *tokenSet {
	for _, t := range cr.tokens {
		if t.engine == engine {
			return t
		}
	}
	return nil
}

// give gives the credential a token set, in the place of the one for the same engine.
func (cr *credential) give(t *tokenSet) {
	cr.tokens = append(slices.DeleteFunc(cr.tokens, func(had *tokenSet) bool { return had.engine == t.engine }), t)
}

// maxCredentials bounds the credentials that are known of one caller.
const maxCredentials = 64

// claims are those of Config.Claims.
func (r *Registry) claims(c *call.Caller) map[string]string {
	if r.Claims == nil || len(c.Claims) == 0 {
		return nil
	}
	return r.Claims(c)
}

// fingerprint is of everything of a caller that distinguishes its credential from others of
// the same caller. Scopes are left out: they narrow a call, not what Vault lets the
// caller do. So are claims on which that does not depend.
func fingerprint(c *call.Caller, claims map[string]string) sum {
	b := make([]byte, 0, 512)
	add := func(parts ...string) {
		for _, p := range parts {
			b = append(append(strconv.AppendInt(b, int64(len(p)), 10), ':'), p...)
		}
	}
	add(c.KeyID, c.Kind, c.Issuer, c.Prefix.String(), c.Tier, string(c.Method), c.CertFP)
	for a := c.OnBehalfOf; a != nil; a = a.Next {
		add(a.Kind, a.Subject)
	}
	add("", strconv.Itoa(len(c.Roles)))
	add(slices.Sorted(slices.Values(c.Roles))...)
	add(strconv.Itoa(len(c.Groups)))
	add(slices.Sorted(slices.Values(c.Groups))...)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		add(name, claims[name])
	}
	return sha256.Sum256(b)
}

// use notes that a credential was used. The caller holds mu.
func (s *State) use(c *call.Caller) *credential {
	if s.lastUsed != nil && s.lastUsed.caller == c { // one call asks more than once
		s.lastUsed.seen = time.Now()
		return s.lastUsed
	}
	id := fingerprint(c, s.registry.claims(c))
	i := slices.IndexFunc(s.credentials, func(cr *credential) bool { return cr.id == id })
	if i < 0 {
		s.evictOldest()
		i = len(s.credentials)
		s.credentials = append(s.credentials, &credential{id: id})
	}
	cr := s.credentials[i]
	cr.caller, cr.seen = c, time.Now()
	s.lastUsed = cr
	return cr
}

// evictOldest makes room for a credential. The caller holds mu.
func (s *State) evictOldest() {
	if len(s.credentials) < maxCredentials {
		return
	}
	oldest := 0
	for i, cr := range s.credentials {
		if cr.seen.Before(s.credentials[oldest].seen) {
			oldest = i
		}
	}
	s.credentials = slices.Delete(s.credentials, oldest, oldest+1)
	s.dropTokenSets()
}

// Credentials are the credentials that were used since the gateway started, as last
// seen; when there is none, tenant and subject alone.
func (s *State) Credentials() (list []*call.Caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cr := range s.credentials {
		list = append(list, cr.caller)
	}
	if len(list) == 0 {
		list = append(list, s.caller)
	}
	return list
}

// ForgetWhere forgets the credentials that a function selects, and reports whether it
// selected all of them or some. When it selects all, none is forgotten.
func (s *State) ForgetWhere(ended func(*call.Caller) bool) (all, some bool) {
	credentials := s.Credentials()
	selected := slices.DeleteFunc(slices.Clone(credentials), func(c *call.Caller) bool { return !ended(c) })
	if len(selected) == len(credentials) {
		return true, true
	}
	for _, c := range selected {
		s.forget(c)
	}
	return false, len(selected) > 0
}

func (s *State) forget(c *call.Caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials = slices.DeleteFunc(s.credentials, func(cr *credential) bool { return cr.caller == c })
	s.lastUsed = nil
}

// use is that a credential has tokens for an engine.
type use struct {
	caller *call.Caller
	engine string
}

// withTokens are the credentials that have tokens, each with the engines that they are for.
func (s *State) withTokens() (list []use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cr := range s.credentials {
		for _, t := range cr.tokens {
			list = append(list, use{cr.caller, t.engine})
		}
	}
	return list
}

// identify works out the fingerprints anew: credentials may depend on other claims than
// before, as the data have changed. Of those that are one now, one is left.
func (s *State) identify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.credentials
	s.credentials, s.lastUsed = nil, nil
	for _, cr := range all {
		cr.id = fingerprint(cr.caller, s.registry.claims(cr.caller))
		i := slices.IndexFunc(s.credentials, func(other *credential) bool { return other.id == cr.id })
		if i < 0 {
			s.credentials = append(s.credentials, cr)
			continue
		}
		for _, t := range cr.tokens {
			if s.credentials[i].of(t.engine) == nil {
				s.credentials[i].give(t)
			}
		}
	}
}
