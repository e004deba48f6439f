package auth

import (
	"fmt"
	"net/http"
	"strings"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// maxKey bounds an API key in a header, maxAuthorization the whole of the other
// header, in bytes: a token and its scheme.
const (
	maxKey           = 16 << 10
	maxAuthorization = jose.MaxBytes + 16
)

// credential is what a request presents, before anything about it is believed.
type credential struct {
	method call.Method // empty for none
	value  string
	dpop   bool // the DPoP scheme of RFC 9449 section 7.1
	bearer bool // the Bearer scheme, by which API keys come as well
}

// presented finds the one credential in the headers. Two of them, even equal
// ones, are ambiguous: what another component reads must not differ from what is
// verified here.
func presented(r *http.Request) (credential, error) {
	keys, auths := r.Header["X-Api-Key"], r.Header["Authorization"]
	switch {
	case len(keys)+len(auths) > 1:
		return credential{}, rule.Ambiguous
	case len(keys) == 1:
		return apiKey(keys[0])
	case len(auths) == 1:
		return authorization(auths[0])
	}
	return credential{}, nil
}

func apiKey(v string) (credential, error) {
	if strings.TrimSpace(v) == "" || len(v) > maxKey {
		return credential{}, fmt.Errorf("%w: blank or too long", rule.UnknownKey)
	}
	return credential{method: call.APIKey, value: v}, nil
}

// authorization reads "Bearer TOKEN" or "DPoP TOKEN" (RFC 9110 section 11.4). The
// scheme is compared without case. The token is taken as it is: what is no base64url
// is refused when it is read.
func authorization(v string) (credential, error) {
	if len(v) > maxAuthorization {
		return credential{}, rule.TooLarge
	}
	scheme, tok, ok := strings.Cut(v, " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if !ok || !dpop && !strings.EqualFold(scheme, "Bearer") {
		return credential{}, rule.Scheme
	}
	if tok == "" || strings.IndexByte(tok, ' ') >= 0 {
		return credential{}, fmt.Errorf("%w: not one token", rule.Scheme)
	}
	return credential{method: call.JWT, value: tok, dpop: dpop, bearer: !dpop}, nil
}

// byBearer reports whether a bearer is an API key, because many clients can send no
// other header: what cannot be a JWT is one, and so is what one of the keys is. A
// JWT begins as its JSON header does in base64url and has three parts (RFC 7515
// section 7.1); a broken one is refused as a token.
func (ch *Authenticator) byBearer(c credential) bool {
	if !c.bearer || ch.keys == nil || len(c.value) > maxKey || strings.HasPrefix(strings.TrimLeft(c.value, `"`), "eyJ") {
		return false
	}
	return strings.Count(c.value, ".") != 2 || ch.keys.Has(c.value)
}
