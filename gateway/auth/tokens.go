package auth

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
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
	defaultStale = time.Hour
	defaultSkew  = 30 * time.Second
)

// openTokens makes the verifier when there is something to verify with.
func (ch *Chain) openTokens() error {
	j := ch.cfg.JWT
	if !j.Enabled {
		return nil
	}
	if err := ch.openIssuer(); err != nil {
		return err
	}
	if ch.issuer == nil && j.Secret == "" {
		return nil
	}
	v, warnings, err := token.New(token.Options{
		Secret: []byte(j.Secret.Reveal()), Keys: ch.issuer, RequireKID: j.RequireKID,
		Issuer: j.Issuer, Audiences: ch.audiences(), AnyIssuer: j.AnyIssuer, AnyAudience: j.AnyAudience,
		ClockSkew: cmp.Or(j.ClockSkew, defaultSkew), Claims: j.Claims, TrustDomains: j.TrustDomains,
		Base: ch.cfg.DefaultPrefix, Loopback: ch.cfg.Loopback,
	})
	for _, w := range warnings {
		ch.log.Warn("weak JWT configuration", "detail", w)
	}
	ch.tokens = v
	return err
}

// openIssuer makes the source of published keys, if one is configured. A file
// comes before an address, an address before discovery.
func (ch *Chain) openIssuer() (err error) {
	j := ch.cfg.JWT
	o := keyset.Options{
		CacheFor: max(leastCache, cmp.Or(j.CacheFor, defaultCache)), StaleFor: cmp.Or(j.StaleFor, defaultStale),
		Client: ch.cfg.HTTPClient,
		Report: func(changed bool, err error) { ch.note("key set", func() (bool, error) { return changed, err }) },
	}
	switch {
	case j.JWKSFile != "":
		o.File = j.JWKSFile
	case j.JWKSURL != "":
		o.URL = j.JWKSURL
	case j.Discovery:
		o.Issuer = j.Issuer
	default:
		return nil
	}
	ch.issuer, err = keyset.New(o)
	return err
}

// audiences are the names by which a token may mean this gateway: the configured
// ones, the resource indicator and the addresses in the metadata documents.
func (ch *Chain) audiences() []string {
	out := append([]string(nil), ch.cfg.JWT.Audiences...)
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

// byToken verifies a token and what it is bound to.
func (ch *Chain) byToken(r *http.Request, cred credential, holder *call.Caller) (*call.Caller, error) {
	if ch.tokens == nil {
		return nil, fmt.Errorf("%w: JWT", rule.MethodOff)
	}
	now := ch.now()
	v, err := ch.tokens.Verify(r.Context(), cred.value, now)
	if err != nil {
		return nil, err
	}
	if v.X5T != "" && !holds(holder, v.X5T) {
		return nil, rule.CertBound
	}
	switch {
	case v.JKT == "" && cred.dpop:
		return nil, rule.Unbound
	case v.JKT == "":
		return v.Caller, nil
	case !cred.dpop:
		return nil, rule.KeyBound
	}
	p := dpop.FromHTTP(r, ch.base(r))
	p.Token, p.JKT = cred.value, v.JKT
	return v.Caller, ch.proofs.Check(p, now)
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
