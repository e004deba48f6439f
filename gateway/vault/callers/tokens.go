package callers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
)

// tokenSet holds the tokens of the credentials that have the same rights on an engine.
type tokenSet struct {
	engine     string
	id         sum          // of the engine and the names of its policies, or of the one credential's fingerprint
	caller     *call.Caller // of the credential that was used last; guarded by State.mu
	claims     map[string]string
	names      []string           // of the policies that its tokens carry
	additional sum                // of the text of Policies.Additional
	checked    time.Time          // when these policies were last read from Vault; guarded by State.policyWrites
	batch      tokencache.Source  // for requests
	lease      *tokencache.Source // for requests that make leases, nil when there was none; guarded by State.mu
}

// TokenSource is where the token for a credential's requests on an engine comes from. A
// lease dies with the token that it was made with, so requests that make leases use a token
// that lives longer. Where callers are logged in as themselves, it is Vault that says what
// their tokens may, so there is one for all engines.
func (s *State) TokenSource(c *call.Caller, engine string, forLeases bool) *tokencache.Source {
	c = alone(c)
	if s.registry.loggedIn() {
		engine = ""
	}
	t := s.tokensOf(c, engine)
	if t == nil {
		t = s.assignTokenSet(c, engine)
	}
	if forLeases {
		return s.leaseSource(t)
	}
	return &t.batch
}

// tokensOf is the token set of a credential that is used, nil for none.
func (s *State) tokensOf(c *call.Caller, engine string) *tokenSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.use(c).of(engine)
	if t != nil {
		t.caller = c
	}
	return t
}

// assignTokenSet works out the rights of a credential on an engine, and gives it the token
// set with these rights.
func (s *State) assignTokenSet(c *call.Caller, engine string) *tokenSet {
	var names []string
	claims := s.registry.claims(c)
	id := fingerprint(c, claims)
	policies, asOf := s.registry.rights(c, engine)
	if !s.registry.loggedIn() {
		names = policies.names(EnginePolicyName(s.policy, engine))
		id = sumOf(engine + " " + strings.Join(names, " "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.tokenSets, func(t *tokenSet) bool { return t.id == id })
	if i < 0 {
		i = len(s.tokenSets)
		s.tokenSets = append(s.tokenSets, s.newTokenSet(&tokenSet{engine: engine, id: id, claims: claims, names: names, additional: sumOf(policies.Additional)}))
	}
	t := s.tokenSets[i]
	t.caller = c
	s.keepTexts(engine, policies, asOf)
	s.use(c).give(t)
	return t
}

// rights are what Vault is to let a credential do on an engine, and as of what. They are
// nothing after an error, and where callers are logged in as themselves.
func (r *Registry) rights(c *call.Caller, engine string) (p Policies, asOf string) {
	asOf = r.asOf()
	if r.loggedIn() {
		return Policies{}, asOf
	}
	p, err := r.PolicyFor(c, engine)
	if err != nil {
		return Policies{}, asOf
	}
	return p, asOf
}

// assignSubject works out the rights of the subject on an engine.
func (s *State) assignSubject(engine string) {
	s.mu.Lock()
	c := s.caller
	s.mu.Unlock()
	policies, asOf := s.registry.rights(c, engine)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepTexts(engine, Policies{Subject: policies.Subject}, asOf)
}

func (s *State) newTokenSet(t *tokenSet) *tokenSet {
	t.batch.Get = func(ctx context.Context) (tokencache.Token, error) { return s.createBatchToken(ctx, t) }
	t.batch.Timeout, t.batch.Ahead = s.registry.Timeout, true
	return t
}

// leaseSource is where the tokens for leases come from. Most callers have none.
func (s *State) leaseSource(t *tokenSet) *tokencache.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.lease == nil {
		t.lease = &tokencache.Source{
			Get:     func(ctx context.Context) (tokencache.Token, error) { return s.createLeaseToken(ctx, t) },
			Timeout: s.registry.Timeout, Discard: s.discardToken,
		}
	}
	return t.lease
}

// holder is the caller for whom tokens of a token set are made.
func (s *State) holder(t *tokenSet) *call.Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.caller
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
		if t.lease != nil {
			t.lease.Close()
		}
	}
}

func (s *State) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
}

// asOf is that of the configuration, and empty where nothing tells.
func (r *Registry) asOf() string {
	if r.AsOf == nil {
		return ""
	}
	return unique.Make(r.AsOf()).Value() // every caller keeps it
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
		s.identify()
		used := s.withTokens()
		for _, u := range used {
			s.assignTokenSet(u.caller, u.engine)
		}
		for _, engine := range s.engines() {
			if !slices.ContainsFunc(used, func(u use) bool { return u.engine == engine }) {
				s.assignSubject(engine) // another replica, or a lease, may still need it
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropTokenSets()
	maps.DeleteFunc(s.texts, func(id sum, _ string) bool {
		return !slices.ContainsFunc(s.subjects, func(p policy) bool { return p.text == id }) &&
			!slices.ContainsFunc(s.tokenSets, func(t *tokenSet) bool { return t.additional == id })
	})
}

// engines are those that the caller is known to have used.
func (s *State) engines() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.subjects {
		names = append(names, p.engine)
	}
	return names
}

// dropTokenSets drops those that no credential has any more. The caller holds mu.
func (s *State) dropTokenSets() {
	s.tokenSets = slices.DeleteFunc(s.tokenSets, func(t *tokenSet) bool {
		return !slices.ContainsFunc(s.credentials, func(cr *credential) bool { return slices.Contains(cr.tokens, t) })
	})
}

// TokenRenewed notes that Vault has renewed the token of leases that an accessor names.
func (s *State) TokenRenewed(accessor string, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokenSets {
		if t.lease == nil {
			continue
		}
		if held := t.lease.Peek(); held.Accessor == accessor {
			t.lease.Renewed(held.Value, life)
		}
	}
}
