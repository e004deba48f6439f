// Package token verifies JWT access tokens (RFC 7519, RFC 9068) and says whom they
// name. A token that was verified once is remembered until it ends, its key goes
// or something else becomes unsure.
package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// Options are what a verifier goes by.
type Options struct {
	Issuers   []Issuer
	ClockSkew time.Duration
	Base      call.Path // default prefix of callers
	Loopback  bool      // short secrets are accepted
}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	byName   map[string]*issuer
	byDomain map[string]*issuer // of SPIFFE ids in tokens without iss
	any      *issuer            // takes what no other issuer is named for, nil for none
	known    *memory
}

// Verified is what a good token says.
type Verified struct {
	X5T string // RFC 8705 section 3.1: hash of the certificate that must be there, else empty

	caller atomic.Pointer[call.Caller] // at the address that it called from last
	issuer *issuer
	set    *keyset.Set // the keys that it was verified with, nil for the secret
}

// Caller is whom the token names, at whichever address.
func (o *Verified) Caller() *call.Caller { return o.caller.Load() }

// From is the caller at an address. Calls from there share it as long as none comes from
// elsewhere: a copy for each would be kept beside this one by whoever keeps callers.
func (o *Verified) From(address netip.Addr) *call.Caller {
	c := o.caller.Load()
	if c.SourceIP == address {
		return c
	}
	own := *c
	own.SourceIP = address
	o.caller.Store(&own)
	return &own
}

// Source says who vouched, as the issuer's entry has it.
func (o *Verified) Source() string { return o.issuer.Source }

// New checks the options; the error lists every problem. Warnings are for the
// operator.
func New(o Options) (v *Verifier, warnings []string, err error) {
	v = &Verifier{byName: map[string]*issuer{}, byDomain: map[string]*issuer{}, known: newMemory()}
	var errs []error
	if o.ClockSkew < 0 || o.ClockSkew > 5*time.Minute {
		errs = append(errs, errors.New("the clock skew must be 0 to 300 seconds"))
	}
	for n, i := range o.Issuers {
		is, warn, err := newIssuer(i, o)
		if err == nil {
			err = v.add(is)
		}
		if err != nil && len(o.Issuers) > 1 {
			err = fmt.Errorf("issuer %d (%s): %w", n+1, strings.Join(i.Names, ", "), err)
		}
		warnings, errs = append(warnings, warn...), append(errs, err)
	}
	return v, warnings, errors.Join(errs...)
}

// add enters an issuer under everything that its tokens can name it by.
func (v *Verifier) add(i *issuer) error {
	for _, name := range i.Names {
		if v.byName[name] != nil {
			return fmt.Errorf("%q is the issuer of two entries, so its tokens could mean either", name)
		}
		v.byName[name] = i
	}
	if i.AnyIssuer {
		if v.any != nil {
			return errors.New("two entries take the tokens of any issuer")
		}
		v.any = i
	}
	if len(i.Names) > 0 || !i.Claims.SPIFFE {
		return nil
	}
	for domain := range i.spiffe.Tenants {
		if v.byDomain[domain] != nil {
			return fmt.Errorf("the trust domain %q is in two entries", domain)
		}
		v.byDomain[domain] = i
	}
	return nil
}

// Verify returns what a token says when it is good. Errors are rules.
func (v *Verifier) Verify(ctx context.Context, raw string, now time.Time) (*Verified, error) {
	if k := v.Known(raw, now); k != nil {
		return k, nil
	}
	return v.VerifyNew(ctx, raw, now, keyset.Patient)
}

// Known returns what a token says that was verified before and would be again, nil
// when there is no such token. It costs a hash.
func (v *Verifier) Known(raw string, now time.Time) *Verified {
	if len(raw) > jose.MaxBytes {
		return nil
	}
	sum := digest(raw)
	k := v.known.get(sum)
	if k == nil || v.stands(k, now) {
		return k
	}
	v.known.remove(sum)
	return nil
}

// VerifyNew is Verify for a token that is not known. Effort says how much looking
// for its key is worth.
func (v *Verifier) VerifyNew(ctx context.Context, raw string, now time.Time, effort keyset.Effort) (*Verified, error) {
	t, err := jose.Parse(raw)
	if err != nil {
		return nil, err
	}
	if t.Type != "" && t.Type != "jwt" && t.Type != "at+jwt" && t.Type != "jose" {
		return nil, rule.Type
	}
	i, err := v.issuerOf(t.Claims)
	if err != nil {
		return nil, err
	}
	fresh, err := i.verify(ctx, t, now, effort)
	if err != nil {
		return nil, err
	}
	v.known.add(digest(raw), fresh, len(raw))
	return fresh, nil
}

// issuerOf finds who must have signed a token: whom it names in iss, and for a
// SPIFFE id without one its trust domain (JWT-SVID section 3).
func (v *Verifier) issuerOf(b body) (*issuer, error) {
	iss, named := b["iss"].(string)
	if i := v.byName[iss]; named && i != nil {
		return i, nil
	}
	if _, there := b["iss"]; !there {
		sub, _ := b["sub"].(string)
		domain, _, _ := strings.Cut(strings.TrimPrefix(sub, "spiffe://"), "/")
		if i := v.byDomain[domain]; i != nil {
			return i, nil
		}
	}
	if v.any != nil {
		return v.any, nil
	}
	return nil, fmt.Errorf("%w: not one of %d%s", rule.Issuer, len(v.byName), almost(v.names(), []string{iss}))
}

func (v *Verifier) names() (out []string) {
	for name := range v.byName {
		out = append(out, name)
	}
	return out
}

// digest is the SHA-256 of a token. Usual ones are copied to the stack, which is
// cheaper than memory that has to be collected again with each call.
func digest(raw string) [sha256.Size]byte {
	var buf [2048]byte
	return sha256.Sum256(append(buf[:0], raw...))
}

// stands reports whether what was verified before would be verified again.
func (v *Verifier) stands(k *Verified, now time.Time) bool {
	return now.Before(k.Caller().Expires) && (k.set == nil || k.set == k.issuer.Keys.Current(now))
}

// confirm reads what the token is bound to (RFC 7800 section 3.1). A member that
// is not understood cannot be checked, so it refuses.
func (o *Verified) confirm(b body) error {
	cnf, ok := b["cnf"]
	if !ok {
		return nil
	}
	m, ok := cnf.(map[string]any)
	if !ok || len(m) == 0 {
		return rule.Confirmation
	}
	for name, v := range m {
		s, _ := v.(string)
		switch {
		case s == "":
			return rule.Confirmation
		case name == "jkt":
			o.Caller().JKT = s
		case name == "x5t#S256":
			o.X5T = s
		default:
			return fmt.Errorf("%w: %d members", rule.Confirmation, len(m))
		}
	}
	return nil
}

// Valid reports whether the key that a caller's token was signed with is still
// one of its issuer's.
func (v *Verifier) Valid(c *call.Caller, now time.Time) error {
	if c.KeyID == "" {
		return nil
	}
	for _, i := range v.candidates(c.Issuer) {
		if i.has(c, now) {
			return nil
		}
	}
	return fmt.Errorf("%w: its key is gone", rule.KeyID)
}

// candidates are the issuers that can have vouched for a caller.
func (v *Verifier) candidates(name string) (out []*issuer) {
	if i := v.byName[name]; i != nil {
		return []*issuer{i}
	}
	for _, i := range v.byDomain {
		out = append(out, i)
	}
	if v.any != nil {
		out = append(out, v.any)
	}
	return out
}
