// Package token verifies JWT access tokens (RFC 7519, RFC 9068) and says whom they
// name. A token that was verified once is remembered until it ends, its key goes
// or something else becomes unsure.
package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// remembered bounds the tokens that are remembered.
const remembered = 1 << 14

// minSecret is the shortest HMAC secret on a listener that others can reach, in
// bytes (RFC 7518 section 3.2).
const minSecret = 32

// Options are what a verifier goes by.
type Options struct {
	Secret       []byte         // of the HMAC algorithms, empty for none
	Keys         *keyset.Source // of all other algorithms, nil for none
	RequireKID   bool
	Issuer       string
	Audiences    []string // empty with AnyAudience only
	AnyIssuer    bool
	AnyAudience  bool
	ClockSkew    time.Duration
	Claims       Claims
	TrustDomains []string
	Base         call.Path
	Loopback     bool // short secrets are accepted
}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	o      Options
	secret *jose.Key
	spiffe principal.SPIFFE
	pass   []passed
	cache  *lru.Cache[[sha256.Size]byte, *Verified]
}

// Verified is what a good token says. It is immutable.
type Verified struct {
	Caller *call.Caller
	JKT    string // RFC 9449 section 6: thumbprint of the key that must prove itself, else empty
	X5T    string // RFC 8705 section 3.1: hash of the certificate that must be there, else empty

	set *keyset.Set // the keys that it was verified with, nil for the secret
}

// New checks the options; the error lists every problem. Warnings are for the
// operator.
func New(o Options) (v *Verifier, warnings []string, err error) {
	o.Claims = o.Claims.withDefaults()
	v = &Verifier{o: o}
	var errs []error
	if len(o.Secret) > 0 {
		warn, err := checkSecret(o.Secret, o.Loopback)
		warnings, errs = append(warnings, warn...), append(errs, err)
		v.secret = jose.Secret(o.Secret)
	}
	if o.Issuer == "" && !o.AnyIssuer {
		errs = append(errs, errors.New("no issuer is configured"))
	}
	if len(o.Audiences) == 0 && !o.AnyAudience {
		errs = append(errs, errors.New("no audience is configured"))
	}
	if o.ClockSkew < 0 || o.ClockSkew > 5*time.Minute {
		errs = append(errs, errors.New("the clock skew must be 0 to 300 seconds"))
	}
	if o.AnyIssuer || o.AnyAudience {
		warnings = append(warnings, "tokens of other issuers or for other audiences are accepted")
	}
	spiffe, err := principal.NewSPIFFE(o.Claims.Under, o.TrustDomains)
	v.spiffe = spiffe
	chosen, passErr := parsePassed(o.Claims.Pass)
	v.pass = chosen
	cache, cacheErr := lru.New[[sha256.Size]byte, *Verified](remembered)
	v.cache = cache
	return v, warnings, errors.Join(append(errs, o.Claims.check(), err, passErr, cacheErr)...)
}

func checkSecret(s []byte, loopback bool) (warnings []string, err error) {
	if strings.Contains(string(s), "-----BEGIN") {
		return nil, errors.New("the HMAC secret is a PEM block; a public key is no secret")
	}
	if len(s) >= minSecret {
		return nil, nil
	}
	if loopback {
		return []string{fmt.Sprintf("the HMAC secret is shorter than %d bytes; only a loopback listener accepts it", minSecret)}, nil
	}
	return nil, fmt.Errorf("the HMAC secret is shorter than %d bytes, which only a loopback listener accepts", minSecret)
}

// Verify returns what a token says when it is good. Errors are rules.
func (v *Verifier) Verify(ctx context.Context, raw string, now time.Time) (*Verified, error) {
	if len(raw) > jose.MaxBytes {
		return nil, rule.TooLarge
	}
	sum := digest(raw)
	if known, ok := v.cache.Get(sum); ok {
		if v.stands(known, now) {
			return known, nil
		}
		v.cache.Remove(sum)
	}
	fresh, err := v.verify(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	v.cache.Add(sum, fresh)
	return fresh, nil
}

// digest is the SHA-256 of a token. Usual ones are copied to the stack, which is
// cheaper than memory that has to be collected again with each call.
func digest(raw string) [sha256.Size]byte {
	var buf [2048]byte
	return sha256.Sum256(append(buf[:0], raw...))
}

// stands reports whether what was verified before would be verified again.
func (v *Verifier) stands(k *Verified, now time.Time) bool {
	return now.Before(k.Caller.Expires) && (k.set == nil || k.set == v.o.Keys.Current(now))
}

func (v *Verifier) verify(ctx context.Context, raw string, now time.Time) (*Verified, error) {
	t, err := jose.Parse(raw)
	if err != nil {
		return nil, err
	}
	if t.Type != "" && t.Type != "jwt" && t.Type != "at+jwt" {
		return nil, rule.Type
	}
	if v.o.RequireKID && !t.HasKID {
		return nil, fmt.Errorf("%w: missing", rule.KeyID)
	}
	key, set, err := v.key(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := t.Verify(key); err != nil {
		return nil, err
	}
	out, err := v.read(t.Claims, now)
	if err != nil {
		return nil, err
	}
	out.Caller.KeyID, out.set = key.Name(), set
	return out, nil
}

// key returns the key for a token's algorithm. The secret serves the HMAC
// algorithms and nothing else, the published keys all others.
func (v *Verifier) key(ctx context.Context, t *jose.Token) (*jose.Key, *keyset.Set, error) {
	if jose.Symmetric(t.Alg) {
		if v.secret == nil {
			return nil, nil, fmt.Errorf("%w: no secret is configured", rule.Algorithm)
		}
		return v.secret, nil, nil
	}
	if v.o.Keys == nil {
		return nil, nil, fmt.Errorf("%w: no key set is configured", rule.Algorithm)
	}
	return v.o.Keys.Find(ctx, t)
}

// read holds the claims of a verified token to the rules.
func (v *Verifier) read(b body, now time.Time) (*Verified, error) {
	issued, expires, err := b.dates(now, v.o.ClockSkew)
	if err != nil {
		return nil, err
	}
	iss, ok := b["iss"].(string)
	if !v.o.AnyIssuer && (!ok || iss != v.o.Issuer) {
		return nil, rule.Issuer
	}
	if !v.o.AnyAudience {
		if err := b.audience(v.o.Audiences); err != nil {
			return nil, err
		}
	}
	c, err := v.caller(b)
	if err != nil {
		return nil, err
	}
	c.AuthTime, c.ProvedAt, c.Expires = issued, b.proved(), expires
	out := &Verified{Caller: c}
	return out, out.confirm(b)
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
			o.JKT = s
		case name == "x5t#S256":
			o.X5T = s
		default:
			return fmt.Errorf("%w: %d members", rule.Confirmation, len(m))
		}
	}
	return nil
}

// Valid reports whether the key that a caller's token was signed with is still
// one of the issuer's.
func (v *Verifier) Valid(c *call.Caller, now time.Time) error {
	if c.KeyID == "" || v.o.Keys == nil || v.o.Keys.Current(now).Has(c.KeyID) {
		return nil
	}
	return fmt.Errorf("%w: its key is gone", rule.KeyID)
}
