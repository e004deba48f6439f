package callers

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
)

// credential is one way in which a caller authenticates. Credentials of one caller may
// have different roles, so the rights of one do not follow from those of another.
type credential struct {
	caller *call.Caller // as last seen
	seen   time.Time
	tokens *tokenSet // nil until the credential needs a token
}

// tokenSet holds the tokens of the credentials that have the same rights.
type tokenSet struct {
	caller   *call.Caller
	claims   map[string]string // of Config.Claims
	policies Policies
	names    []string           // of the policies that its tokens carry
	checked  time.Time          // when these policies were last read from Vault; guarded by State.policyWrites
	batch    *tokencache.Source // for requests
	lease    *tokencache.Source // for requests that make leases
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

// fingerprint is everything of a caller that distinguishes its credential from others of
// the same caller. Scopes are left out: they narrow a call, not what Vault lets the
// caller do. So are claims on which that does not depend.
func fingerprint(c *call.Caller, claims map[string]string) string {
	parts := []string{c.KeyID, c.Kind, c.Issuer, c.Prefix.String(), c.Tier, string(c.Method), c.CertFP}
	for a := c.OnBehalfOf; a != nil; a = a.Next {
		parts = append(parts, a.Kind, a.Subject)
	}
	parts = append(parts, "", strconv.Itoa(len(c.Roles)))
	parts = append(parts, slices.Sorted(slices.Values(c.Roles))...)
	parts = append(parts, strconv.Itoa(len(c.Groups)))
	parts = append(parts, slices.Sorted(slices.Values(c.Groups))...)
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		parts = append(parts, name, claims[name])
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)))
		b.WriteByte(':')
		b.WriteString(p)
	}
	return b.String()
}

// use notes that a credential was used. The caller holds mu.
func (s *State) use(c *call.Caller) *credential {
	if s.lastUsed != nil && s.lastUsed.caller == c { // calls with one credential share its Caller
		s.lastUsed.seen = time.Now()
		return s.lastUsed
	}
	id := fingerprint(c, s.registry.claims(c))
	cr := s.credentials[id]
	if cr == nil {
		s.evictOldest()
		cr = &credential{}
		s.credentials[id] = cr
	}
	cr.caller, cr.seen = c, time.Now()
	s.lastUsed = cr
	return cr
}

// evictOldest makes room for a credential. The caller holds mu.
func (s *State) evictOldest() {
	if len(s.credentials) < maxCredentials {
		return
	}
	oldest := ""
	for id, cr := range s.credentials {
		if oldest == "" || cr.seen.Before(s.credentials[oldest].seen) {
			oldest = id
		}
	}
	delete(s.credentials, oldest)
}

// TokenSource is where the token for a credential's requests comes from. A lease dies
// with the token that it was made with, so requests that make leases use a token that
// lives longer.
func (s *State) TokenSource(c *call.Caller, forLeases bool) *tokencache.Source {
	c = alone(c)
	s.mu.Lock()
	t := s.use(c).tokens
	s.mu.Unlock()
	if t == nil {
		t = s.assignTokenSet(c)
	}
	if forLeases {
		return t.lease
	}
	return t.batch
}

// assignTokenSet works out the rights of a credential, and gives it the token set with
// these rights.
func (s *State) assignTokenSet(c *call.Caller) *tokenSet {
	var policies Policies
	var names []string
	claims := s.registry.claims(c)
	id, asOf := fingerprint(c, claims), s.registry.asOf()
	if !s.registry.loggedIn() {
		var err error
		if policies, err = s.registry.PolicyFor(c); err != nil {
			policies = Policies{}
		}
		names = policies.names(s.policy)
		id = strings.Join(names, " ")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokenSets[id]
	if t == nil {
		t = s.newTokenSet(c, policies, names)
		t.claims = claims
		s.tokenSets[id] = t
	}
	if s.subject = policies.Subject; s.asOf == "" {
		s.asOf = asOf
	}
	s.use(c).tokens = t
	return t
}

func (s *State) newTokenSet(c *call.Caller, policies Policies, names []string) *tokenSet {
	t := &tokenSet{caller: c, policies: policies, names: names}
	timeout := s.registry.Timeout
	t.batch = &tokencache.Source{
		Get:     func(ctx context.Context) (tokencache.Token, error) { return s.createBatchToken(ctx, t) },
		Timeout: timeout, Ahead: true,
	}
	t.lease = &tokencache.Source{
		Get:     func(ctx context.Context) (tokencache.Token, error) { return s.createLeaseToken(ctx, t) },
		Timeout: timeout, Discard: s.discardToken,
	}
	return t
}

// discardToken revokes a token that arrived after its caller was revoked.
func (s *State) discardToken(t tokencache.Token) {
	ctx, cancel := context.WithTimeout(context.Background(), s.registry.Timeout)
	defer cancel()
	if err := s.registry.RevokeToken(ctx, s.key, t.Accessor); err != nil {
		s.registry.Log.Warn("a Vault token of a revoked caller could not be revoked; it lives until its TTL ends", "caller", s.key, "cause", err)
	}
}

// Close stops giving out tokens for good.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
	for _, t := range s.tokenSets {
		t.batch.Close()
		t.lease.Close()
	}
}

func (s *State) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
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
	maps.DeleteFunc(s.credentials, func(_ string, cr *credential) bool { return cr.caller == c })
	s.lastUsed = nil
}

// asOf is that of the configuration, and empty where nothing tells.
func (r *Registry) asOf() string {
	if r.AsOf == nil {
		return ""
	}
	return r.AsOf()
}

// outdated reports whether the rights of a caller may be others than when they were worked
// out, and notes that they are worked out now.
func (s *State) outdated() bool {
	now := s.registry.asOf()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.asOf
	s.asOf = now
	return now == "" || now != before
}

// reassignTokenSets works out anew the rights of every credential that has tokens, where
// they may be others, and drops the token sets that no credential has any more.
func (s *State) reassignTokenSets() {
	if s.outdated() {
		for _, c := range s.withTokens() {
			s.assignTokenSet(c)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	needed := map[*tokenSet]bool{}
	for _, cr := range s.credentials {
		needed[cr.tokens] = true
	}
	for id, t := range s.tokenSets {
		if !needed[t] {
			delete(s.tokenSets, id)
		}
	}
}

// withTokens are the credentials that have tokens. Of each credential that depends on
// other claims than before, as the data have changed, the place is that of now.
func (s *State) withTokens() (list []*call.Caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	placed := map[string]*credential{}
	for _, cr := range s.credentials {
		placed[fingerprint(cr.caller, s.registry.claims(cr.caller))] = cr
		if cr.tokens != nil {
			list = append(list, cr.caller)
		}
	}
	s.credentials, s.lastUsed = placed, nil
	return list
}

// TokenRenewed notes that Vault has renewed the token of leases that an accessor names.
func (s *State) TokenRenewed(accessor string, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokenSets {
		if held := t.lease.Peek(); held.Accessor == accessor {
			t.lease.Renewed(held.Value, life)
		}
	}
}
