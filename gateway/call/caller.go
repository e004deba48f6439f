package call

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Method is how a caller proved who it is.
type Method string

// The authentication methods.
const (
	APIKey Method = "api_key"
	JWT    Method = "jwt"
	MTLS   Method = "mtls"
)

// Caller is an authenticated principal. It is immutable after authentication
// and shared between the calls of one credential, so nobody may change it.
type Caller struct {
	Subject    string   // one safe segment, see ParseSubject
	RawSubject string   // the subject as the credential says it, before it was mapped to one safe segment
	Kind       string   // agent, human or service
	Tenant     string   // empty, or one safe segment
	Issuer     string   // who vouched: the token's iss, the CA's name, empty for API keys
	Roles      []string // as the credential says them: any text, for the policy alone
	Groups     []string // as the credential says them: any text, for the policy alone
	Scopes     []string // OAuth scopes (RFC 6749 section 3.3)
	OnBehalfOf *Actor   // who acts for the subject (RFC 8693 section 4.1), nil when nobody
	// Behalf is on whose behalf a second credential says that the call is made
	// (X-On-Behalf-Of), nil for nobody. It has no rights beyond its own: a call must be
	// allowed to both. A caller has OnBehalfOf or Behalf, never both.
	Behalf *Caller
	// Claims are what the operator passes from the token to the policy, by the name
	// that the operator gave it, in JSON types: string, bool, float64, nil, []any and
	// map[string]any. A whole number that float64 would round is its decimal text.
	Claims     map[string]any
	Prefix     Path       `json:",omitzero"` // where the caller's own secrets live in the KV mount
	Tier       string     // rate tier that the credential asks for, may be empty
	Method     Method     // how it proved itself
	KeyID      string     // API key id or JWT kid; never the credential itself
	KeyPrint   string     `json:",omitempty"` // of an API key and all that its entry says (apikey.Store.Valid), or of the key that has signed a token; empty for other credentials
	TokenID    string     // JWT jti, empty when there is none
	CertFP     string     // SHA-256 of the client certificate in hex, empty when there is none
	CertSerial string     // serial of the client certificate in hex
	JKT        string     // thumbprint of the key that must prove itself with each use of the credential (RFC 9449 section 6), empty for none
	AuthTime   time.Time  // when the credential was issued, zero when unknown
	ProvedAt   time.Time  // when the caller proved itself to its issuer (auth_time, OpenID Connect Core section 2), zero when unknown
	Created    time.Time  // when the API key was made, zero when unknown
	Expires    time.Time  // end of the credential, zero for never
	Sessions   []string   `json:"-"` // names of the sessions that stand for the credential in this call, and end with each other; empty for the credential itself
	SourceIP   netip.Addr // the peer, or the hop that a trusted proxy vouches for

	key string // see KeepKey
}

// Actor is one link of a delegation chain (RFC 8693 section 4.1). The first link
// acts now; each Next is one that acted before it.
type Actor struct {
	Subject    string // one safe segment
	RawSubject string // as the token says it
	Kind       string // agent, human or service
	Issuer     string // the issuer that the token gives the actor, empty when it gives none
	Next       *Actor
}

// HasScope reports whether the credential carries the scope.
func (c *Caller) HasScope(s string) bool { return slices.Contains(c.Scopes, s) }

// Key identifies the caller among all callers: two callers with the same key
// are the same principal. Its parts cannot contain the separator.
func (c *Caller) Key() string {
	if n := len(c.Tenant); len(c.key) == n+1+len(c.Subject) && c.key[:n] == c.Tenant && c.key[n] == '/' && c.key[n+1:] == c.Subject {
		return c.key
	}
	return c.Tenant + "/" + c.Subject
}

// Holder identifies for whom something is kept that one call makes and another uses, as a
// lease: the caller, or the caller on behalf of one person. What a caller holds on behalf
// of one person is nothing to those whom it serves besides, nor to itself alone. Bounds
// of what one caller may take are by Key.
func (c *Caller) Holder() string {
	if c.Behalf == nil {
		return c.Key()
	}
	return c.Key() + holderMark + c.Behalf.Key()
}

// holderMark cannot be part of a key.
const holderMark = " for "

// KeyOf is the key of the caller of a holder.
func KeyOf(holder string) string {
	key, _, _ := strings.Cut(holder, holderMark)
	return key
}

// KeepKey keeps the key, which is asked for many times in a call. It is called when the
// caller is made; of a copy with another name, Key tells the other key.
func (c *Caller) KeepKey() { c.key = c.Tenant + "/" + c.Subject }
