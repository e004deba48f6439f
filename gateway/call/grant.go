package call

import "time"

// Resource is what an operation acts on, as the policy sees it and as it runs.
type Resource struct {
	Mount   string // the engine's mount, without slashes at its ends; it may have some inside
	Path    Path   // path below the mount; key or role for the other engines; empty for the mount itself
	Version int    // KV version, 0 for the latest
	Listing bool   // Path is a prefix that is listed: "" and the path itself are both possible
}

// Deliver is the form in which a result leaves.
type Deliver string

// The forms. Masked hides values, Wrapped hides the result behind a token of one
// use; a result can be both, see Terms.
const (
	Plain   Deliver = "plain"
	Masked  Deliver = "masked"
	Wrapped Deliver = "wrapped"
)

// Terms are what a decision allows.
type Terms struct {
	DecisionID string
	Op         string // dotted operation name
	Resource   Resource
	Deliver    Deliver
	Masked     bool          // values are hidden; of Wrapped, those in what is wrapped
	Fields     Fields        // the only fields of a secret that are shown
	WrapTTL    time.Duration // for Wrapped
	MaxTTL     time.Duration // cap of any lease or certificate minted, 0 for none
}

// Grant is the proof that a decision allowed one operation on one resource for
// one caller. It is the only argument that opens a Vault session. Its fields are
// unexported and Mint is called by package policy alone, so no code reaches Vault
// without a decision. The zero Grant is void.
type Grant struct {
	caller *Caller
	terms  Terms
}

// Mint makes a grant. Only package policy may refer to it; a test holds that.
func Mint(c *Caller, t Terms) Grant { return Grant{c, t} }

// Valid reports whether the grant was minted.
func (g Grant) Valid() bool { return g.caller != nil }

// Caller is who was allowed, nil for a void grant.
func (g Grant) Caller() *Caller { return g.caller }

// Terms are what was allowed.
func (g Grant) Terms() Terms { return g.terms }
