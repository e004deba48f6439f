package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// minSecret is the shortest HMAC secret on a listener that others can reach, in
// bytes (RFC 7518 section 3.2).
const minSecret = 32

// Issuer is who may vouch for callers: what its tokens are verified with and what
// their claims mean.
type Issuer struct {
	Names        []string       // values of iss; empty for SPIFFE ids, whose trust domain names their issuer, and with AnyIssuer
	Secret       []byte         // of the HMAC algorithms, empty for none
	Keys         *keyset.Source // of all other algorithms, nil for none
	RequireKID   bool
	Audiences    []string // empty with AnyAudience only
	AnyIssuer    bool     // tokens of issuers that no other entry names are taken as well
	AnyAudience  bool
	Claims       Claims
	TrustDomains []string
	Source       string // who vouches, for the owners of names; of all entries of one issuer the same
}

// issuer is an Issuer that was checked.
type issuer struct {
	Issuer
	base    call.Path
	skew    time.Duration
	secret  *jose.Key
	spiffe  principal.SPIFFE
	subject *template
	tenant  *template // nil for none
	pass    []passed
}

// newIssuer checks an issuer; the error lists every problem.
func newIssuer(i Issuer, o Options) (*issuer, []string, error) {
	i.Claims = i.Claims.withDefaults()
	out := &issuer{Issuer: i, base: o.Base, skew: o.ClockSkew}
	var warnings []string
	errs := []error{out.names(), i.Claims.check(), out.readTemplates()}
	if len(i.Secret) > 0 {
		warn, err := checkSecret(i.Secret, o.Loopback)
		warnings, errs = append(warnings, warn...), append(errs, err)
		out.secret = jose.Secret(i.Secret)
	}
	if i.AnyIssuer || i.AnyAudience {
		warnings = append(warnings, "tokens of other issuers or for other audiences are accepted")
	}
	var err error
	if out.spiffe, err = principal.NewSPIFFE(i.Claims.Under, i.TrustDomains); err != nil {
		errs = append(errs, err)
	}
	if out.pass, err = parsePassed(i.Claims.Pass); err != nil {
		errs = append(errs, err)
	}
	return out, warnings, errors.Join(errs...)
}

func (i *issuer) names() error {
	var errs []error
	unnamed := len(i.Names) == 0 || slices.Contains(i.Names, "")
	if unnamed && !i.AnyIssuer && !(i.Claims.SPIFFE && len(i.TrustDomains) > 0) {
		errs = append(errs, errors.New("no issuer is configured"))
	}
	if len(i.Audiences) == 0 && !i.AnyAudience {
		errs = append(errs, errors.New("no audience is configured"))
	}
	return errors.Join(errs...)
}

// readTemplates reads how subject and tenant are made. A claim stands for the
// template of that claim alone.
func (i *issuer) readTemplates() error {
	c, errs := i.Claims, []error{}
	var err error
	if i.subject, err = claimOrTemplate(c.Subject); err == nil {
		err = i.subject.tellsApart(c.Roles, c.Groups)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("subject: %w", err))
	}
	if c.Tenant != "" {
		if i.tenant, err = claimOrTemplate(c.Tenant); err != nil {
			errs = append(errs, fmt.Errorf("tenant: %w", err))
		}
	}
	return errors.Join(errs...)
}

func claimOrTemplate(s string) (*template, error) {
	if strings.ContainsAny(s, "{}") {
		return parseTemplate(s)
	}
	return &template{claims: []templated{{claim: s}}}, nil
}

// tellsApart refuses a subject that several identities can share.
func (t *template) tellsApart(lists ...string) error {
	for _, c := range t.claims {
		name := strings.TrimPrefix(c.claim, "/")
		if !slices.Contains(shared(), name) && !slices.Contains(lists, c.claim) && !slices.Contains(lists, "/"+name) && !slices.Contains(lists, name) {
			return nil
		}
	}
	return fmt.Errorf("the claim does not tell one identity from another; take sub, or an id that the issuer never gives twice")
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

// verify holds a token to the issuer's keys and rules.
func (i *issuer) verify(ctx context.Context, t *jose.Token, now time.Time, effort keyset.Effort) (*Verified, error) {
	if i.RequireKID && !t.HasKID {
		return nil, fmt.Errorf("%w: missing", rule.KeyID)
	}
	key, set, err := i.signedBy(ctx, t, effort)
	if err != nil {
		return nil, err
	}
	out, err := i.read(t.Claims, now)
	if err != nil {
		return nil, err
	}
	c := out.Caller()
	c.KeyID, c.KeyPrint, out.set, out.issuer = key.Name(), key.Print, set, i
	return out, nil
}

// signedBy verifies the signature. The secret serves the HMAC algorithms and
// nothing else, the published keys all others.
func (i *issuer) signedBy(ctx context.Context, t *jose.Token, effort keyset.Effort) (*jose.Key, *keyset.Set, error) {
	if jose.Symmetric(t.Alg) {
		if i.secret == nil {
			return nil, nil, fmt.Errorf("%w: no secret is configured", rule.Algorithm)
		}
		return i.secret, nil, t.Verify(i.secret)
	}
	if i.Keys == nil {
		return nil, nil, fmt.Errorf("%w: no key set is configured", rule.Algorithm)
	}
	return i.Keys.Verify(ctx, t, effort)
}

// read holds the claims of a verified token to the rules.
func (i *issuer) read(b body, now time.Time) (*Verified, error) {
	issued, expires, err := b.dates(now, i.skew)
	if err != nil {
		return nil, err
	}
	if !i.AnyAudience {
		if err := b.audience(i.Audiences); err != nil {
			return nil, err
		}
	}
	c, err := i.caller(b)
	if err != nil {
		return nil, err
	}
	c.AuthTime, c.ProvedAt, c.Expires = issued, b.proved(), expires
	out := &Verified{}
	out.caller.Store(c)
	return out, out.confirm(b)
}

// has reports whether the key of a caller's token is still one of the issuer's: another
// one may have its name by now.
func (i *issuer) has(c *call.Caller, now time.Time) bool {
	return i.Keys == nil || i.Keys.Current(now).Has(c.KeyID, c.KeyPrint)
}
