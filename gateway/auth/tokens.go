package auth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth/dpop"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
)

// Defaults of the JWT configuration.
const (
	defaultCache = 300 * time.Second
	leastCache   = 30 * time.Second
)

// openTokens makes the verifier when there is something to verify with.
func (ch *Authenticator) openTokens() error {
	if !ch.cfg.JWT.Enabled {
		return nil
	}
	o := token.Options{
		ClockSkew: ch.cfg.JWT.ClockSkew, Base: ch.cfg.DefaultPrefix, Loopback: ch.cfg.Loopback,
	}
	var errs []error
	for _, e := range ch.issuers() {
		i, err := ch.openIssuer(e)
		o.Issuers, errs = append(o.Issuers, i), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || len(o.Issuers) == 0 {
		return err
	}
	v, warnings, err := token.New(o)
	ch.warn("weak JWT configuration", warnings)
	ch.tokens = v
	return err
}

// issuers are all entries: the one of the JWT_* keys first, when there is something
// to verify its tokens with. Discovery finds the keys of one name, so an entry with
// several becomes several.
func (ch *Authenticator) issuers() (out []Issuer) {
	j := ch.cfg.JWT
	all := j.More
	if j.Secret != "" || j.JWKSFile != "" || j.JWKSURL != "" || j.Discovery {
		all = append([]Issuer{{
			Names: j.Issuers, JWKSFile: j.JWKSFile, JWKSURL: j.JWKSURL, Discovery: j.Discovery, Audiences: j.Audiences,
			RequireKID: j.RequireKID, Claims: j.Claims, TrustDomains: j.TrustDomains,
			AnyIssuer: j.AnyIssuer, AnyAudience: j.AnyAudience, secret: j.Secret,
		}}, all...)
	}
	for _, e := range all {
		e.source = "issuer " + strings.Join(slices.Concat(e.Names, e.TrustDomains), ", ")
		if !e.Discovery || e.JWKSFile != "" || e.JWKSURL != "" || len(e.Names) < 2 {
			out = append(out, e)
			continue
		}
		for n, name := range e.Names {
			one := e
			one.Names, one.AnyIssuer = []string{name}, e.AnyIssuer && n == 0
			out = append(out, one)
		}
	}
	return out
}

// openIssuer makes what the verifier wants to know of an entry.
func (ch *Authenticator) openIssuer(e Issuer) (token.Issuer, error) {
	keys, err := ch.openKeySet(e)
	if err != nil {
		err = fmt.Errorf("issuer %s: %w", strings.Join(e.Names, ", "), err)
	}
	return token.Issuer{
		Names: e.Names, Secret: []byte(e.secret.Reveal()), Keys: keys, RequireKID: e.RequireKID,
		Audiences: ch.audiences(e.Audiences), AnyIssuer: e.AnyIssuer, AnyAudience: e.AnyAudience,
		Claims: e.Claims, TrustDomains: e.TrustDomains, Source: e.source,
	}, err
}

// openKeySet makes the source of published keys, if one is configured. A file comes
// before an address, an address before discovery.
func (ch *Authenticator) openKeySet(e Issuer) (*keyset.Source, error) {
	j, name := ch.cfg.JWT, "keys of "+strings.Join(e.Names, ", ")
	o := keyset.Options{
		CacheFor: max(leastCache, cmp.Or(j.CacheFor, defaultCache)), StaleFor: j.StaleFor,
		Client: ch.cfg.HTTPClient,
		Report: func(changed bool, err error) { ch.note(name, func() (bool, error) { return changed, err }) },
	}
	switch {
	case e.JWKSFile != "":
		o.File = e.JWKSFile
	case e.JWKSURL != "":
		o.URL = e.JWKSURL
	case e.Discovery:
		o.Issuer = strings.Join(e.Names, "")
		o.Discover = true
	case e.secret != "":
		return nil, nil
	default:
		return nil, errors.New("no keys: give jwks_url, jwks_file or discovery = true")
	}
	s, err := keyset.New(o)
	if err == nil {
		ch.keySets = append(ch.keySets, keySet{name, s})
	}
	return s, err
}

// keySet is a source of an issuer's keys and its name in messages.
type keySet struct {
	name string
	*keyset.Source
}

// audiences are the names by which a token may mean this gateway: the configured
// ones, the resource indicator and the addresses in the metadata documents.
func (ch *Authenticator) audiences(configured []string) []string {
	out := append([]string(nil), configured...)
	if r := ch.cfg.OAuth.Resource; r != "" {
		out = append(out, r)
	}
	if base := strings.TrimRight(ch.cfg.PublicURL, "/"); base != "" {
		for _, p := range resourcePaths() {
			out = append(out, base+p)
		}
	}
	return out
}

// byToken verifies a token and what it is bound to, and says who vouched for it.
func (ch *Authenticator) byToken(r *http.Request, p presence) (*call.Caller, string, error) {
	if ch.tokens == nil {
		return nil, "", fmt.Errorf("%w: JWT", rule.MethodOff)
	}
	v, err := ch.verified(r.Context(), p)
	if err != nil {
		return nil, "", err
	}
	if v.X5T != "" && !holds(p.holder, v.X5T) {
		return nil, "", rule.CertBound
	}
	return v.From(p.from), v.Source(), ch.checkBinding(r, p, v)
}

// verified returns what a token says. One that is known costs a hash; for a new one
// an address that has presented many bad ones gets a share of the processors alone.
func (ch *Authenticator) verified(ctx context.Context, p presence) (*token.Verified, error) {
	if v := ch.tokens.Known(p.value, p.now); v != nil {
		return v, nil
	}
	if !p.suspect {
		return ch.tokens.VerifyNew(ctx, p.value, p.now, keyset.Patient)
	}
	if err := ch.enter(ctx); err != nil {
		return nil, err
	}
	defer ch.leave()
	return ch.tokens.VerifyNew(ctx, p.value, p.now, keyset.Frugal)
}

// checkBinding holds a token that is bound to a key to its proof.
func (ch *Authenticator) checkBinding(r *http.Request, p presence, v *token.Verified) error {
	switch {
	case v.Caller().JKT == "" && p.dpop:
		return rule.Unbound
	case v.Caller().JKT == "":
		return nil
	case !p.dpop:
		return rule.KeyBound
	}
	d := dpop.FromHTTP(r, ch.base(r))
	d.Token, d.JKT, d.Owner = p.value, v.Caller().JKT, v.Caller().Key()
	return ch.proofs.Check(d, p.now)
}

// holds reports whether the caller's certificate is the one with the hash (RFC
// 8705 section 3.1).
func holds(holder *call.Caller, x5t string) bool {
	if holder == nil || holder.CertFP == "" {
		return false
	}
	fp, err := hex.DecodeString(holder.CertFP)
	return err == nil && subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(fp)), []byte(x5t)) == 1
}
