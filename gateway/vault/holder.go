package vault

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Children says how callers get Vault tokens of their own. Without them every
// caller's requests carry the gateway's token.
type Children struct {
	Enabled      bool
	TTL          time.Duration // of the batch token that a caller's requests carry, 90s
	LeaseTTL     time.Duration // of the token that a caller's leases hang on, renewed while there are any, 1h
	Role         string        // token role that batch tokens are created with, "mcp-gateway"
	LeaseRole    string        // token role, an orphan one, for tokens of leases, "mcp-gateway-lease"
	PolicyPrefix string        // of the callers' policies in Vault, "mcp-agent-"
	// PolicyFor says what Vault is to let a caller do. An error means nothing.
	PolicyFor func(*call.Caller) (Policies, error)
}

func (c Children) check() error {
	if c.Enabled && c.PolicyFor == nil {
		return errors.New("child tokens are enabled, but nothing says what callers' policies are")
	}
	return nil
}

func (c Children) withDefaults() Children {
	if c.TTL <= 0 {
		c.TTL = 90 * time.Second
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = time.Hour
	}
	if c.Role == "" {
		c.Role = "mcp-gateway"
	}
	if c.LeaseRole == "" {
		c.LeaseRole = "mcp-gateway-lease"
	}
	if c.PolicyPrefix == "" {
		c.PolicyPrefix = "mcp-agent-"
	}
	return c
}

// holders are the callers that were here lately, by key.
type holders struct {
	Children
	client *Client

	mu    sync.Mutex // guards the fields below
	all   map[string]*holder
	dying map[string]bool // callers that are killed, and not all of what they hold has gone
}

// holder is what the gateway holds in Vault for one caller.
type holder struct {
	of     *holders
	key    string
	policy string // name of the policy that says what the caller may by itself

	mu      sync.Mutex // guards the fields below
	caller  *call.Caller
	seen    time.Time
	users   map[string]*user  // credentials that were used, see credentialOf
	latest  *user             // one of them, nil for none
	purses  map[string]*purse // by the names of their policies
	subject string            // text of the policy
	killed  bool
	// reserved are the places of leases that are being made, oldest first.
	reserved []*reservation
	leases   bool      // there may be some in the book
	noted    int       // leases that were put there
	read     time.Time // when the book was read

	writing sync.Mutex        // makes writes of policies one at a time, and guards the field below
	written map[string]string // what Vault is known to hold, by name
}

// of returns the caller's holder and notes that the caller was here.
func (hs *holders) of(c *call.Caller) *holder {
	key := c.Key()
	hs.mu.Lock()
	h := hs.all[key]
	if h == nil {
		h = hs.newHolder(c)
		hs.all[key] = h
	}
	hs.mu.Unlock()
	h.mu.Lock()
	h.caller, h.seen = c, time.Now()
	h.use(c)
	h.mu.Unlock()
	return h
}

func (hs *holders) newHolder(c *call.Caller) *holder {
	return &holder{
		of: hs, key: c.Key(), policy: PolicyName(hs.PolicyPrefix, c.Key()), caller: c,
		users: map[string]*user{}, purses: map[string]*purse{}, written: map[string]string{},
	}
}

// remember makes a holder for a caller that has not called.
func (hs *holders) remember(tenant, subject string) {
	c := &call.Caller{Tenant: tenant, Subject: subject}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.all[c.Key()] == nil {
		hs.all[c.Key()] = hs.newHolder(c)
	}
}

// doom removes a holder, nil when there is none, and notes that it is being killed.
func (hs *holders) doom(key string) *holder {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.all[key]
	delete(hs.all, key)
	hs.dying[key] = true
	return h
}

// bury ends the killing.
func (hs *holders) bury(key string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.dying, key)
}

// doomed are those that are being killed.
func (hs *holders) doomed() []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return slices.Collect(maps.Keys(hs.dying))
}

// list returns all holders.
func (hs *holders) list() []*holder {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return slices.Collect(maps.Values(hs.all))
}

// now is who the holder is for, as last seen, and when that was.
func (h *holder) now() (*call.Caller, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.caller, h.seen
}

// due reports whether the caller's leases should be read from the book.
func (h *holder) due(every time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leases || time.Since(h.read) > every
}

// adopted notes that a lease is put into the book.
func (h *holder) adopted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases = true
	h.noted++
}

// look says how many leases had been put into the book.
func (h *holder) look() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.noted
}

// found notes what was read since look: nothing is certain only when nothing was
// put there meanwhile.
func (h *holder) found(leases bool, noted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases, h.read = leases || noted != h.noted, time.Now()
}
