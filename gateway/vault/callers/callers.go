package callers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Registry holds the state of each caller that has called since the gateway started or
// is registered with a lease.
type Registry struct {
	Config
	Backend

	mu       sync.Mutex // guards the fields below
	states   map[string]*State
	revoking map[string]bool      // callers whose revocation is not complete
	roleTold map[string]time.Time // when it was logged that a token role makes no tokens
}

// New makes an empty registry.
func New(c Config, b Backend) *Registry {
	for _, kind := range []string{"login", "batch", "service"} {
		failed(kind)
	}
	return &Registry{Config: c.withDefaults(), Backend: b, states: map[string]*State{}, revoking: map[string]bool{}, roleTold: map[string]time.Time{}}
}

// State is what the gateway holds in Vault for one caller. There are as many as callers, so
// it is small: lists, which are short, instead of maps, and sums instead of texts.
type State struct {
	registry *Registry
	key      string
	policy   string // what the names of its policies begin with

	mu          sync.Mutex // guards the fields below
	caller      *call.Caller
	seen        time.Time
	credentials []*credential
	lastUsed    *credential // one of them, nil for none
	tokenSets   []*tokenSet
	subjects    []policy       // what the subject may without roles on the engines that were used
	texts       map[sum]string // of policies that Vault is not known to hold
	asOf        string         // Config.AsOf when the rights were worked out; of the oldest of them
	revoked     bool
	adopted     bool // the policies of all engines are known, see AdoptPolicies

	policyWrites sync.Mutex // serialises writes of policies, and guards the fields below and tokenSet.checked
	written      []policy   // what Vault is known to hold
	wrote        time.Time  // when one was written last
}

// Of returns the caller's state and notes the time of the call. Vault knows the caller
// alone: on whose behalf it calls changes neither its rights there nor its credentials.
func (r *Registry) Of(c *call.Caller) *State {
	c = alone(c)
	key := c.Key()
	r.mu.Lock()
	s := r.states[key]
	if s == nil {
		s = r.newState(c)
		r.states[key] = s
	}
	r.mu.Unlock()
	s.mu.Lock()
	s.caller, s.seen = c, time.Now()
	s.use(c)
	s.mu.Unlock()
	return s
}

// alone is the caller as if it called for itself.
func alone(c *call.Caller) *call.Caller {
	if c.Behalf == nil {
		return c
	}
	own := *c
	own.Behalf = nil
	return &own
}

func (r *Registry) newState(c *call.Caller) *State {
	return &State{registry: r, key: c.Key(), policy: PolicyName(r.PolicyPrefix, c.Key()), caller: c}
}

// Add makes a state for a caller that has not called since the gateway started.
func (r *Registry) Add(tenant, subject string) {
	c := &call.Caller{Tenant: tenant, Subject: subject}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.states[c.Key()] == nil {
		r.states[c.Key()] = r.newState(c)
	}
}

// BeginRevoke removes a caller's state, nil when there is none, and marks the caller as
// being revoked until EndRevoke.
func (r *Registry) BeginRevoke(key string) *State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.states[key]
	delete(r.states, key)
	r.revoking[key] = true
	return s
}

// EndRevoke marks the revocation of a caller as complete.
func (r *Registry) EndRevoke(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.revoking, key)
}

// Revoking are the keys of the callers whose revocation is not complete.
func (r *Registry) Revoking() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.revoking))
}

// List returns all states.
func (r *Registry) List() []*State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.states))
}

// Known reports whether a caller has a state.
func (r *Registry) Known(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[key] != nil
}

// Key is the caller's.
func (s *State) Key() string { return s.key }

// LastCall is when the caller called this gateway last, the zero time for never.
func (s *State) LastCall() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
