package auth

import (
	"fmt"
	"net/http"
	"strings"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// maxHeader bounds a credential in a header, in bytes.
const maxHeader = 16 << 10

// credential is what a request presents, before anything about it is believed.
type credential struct {
	method call.Method // empty for none
	value  string
	dpop   bool // the DPoP scheme of RFC 9449 section 7.1
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
	if strings.TrimSpace(v) == "" || len(v) > maxHeader {
		return credential{}, fmt.Errorf("%w: blank or too long", rule.UnknownKey)
	}
	return credential{method: call.APIKey, value: v}, nil
}

// authorization reads "Bearer TOKEN" or "DPoP TOKEN" (RFC 9110 section 11.4). The
// scheme is compared without case, the token taken as it is.
func authorization(v string) (credential, error) {
	if len(v) > maxHeader {
		return credential{}, rule.TooLarge
	}
	scheme, tok, ok := strings.Cut(v, " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if !ok || !dpop && !strings.EqualFold(scheme, "Bearer") {
		return credential{}, rule.Scheme
	}
	if !token68(tok) {
		return credential{}, fmt.Errorf("%w: not a token68", rule.Scheme)
	}
	return credential{method: call.JWT, value: tok, dpop: dpop}, nil
}

// token68 reports whether s is one (RFC 9110 section 11.2). It runs over every
// byte of every token, so it is a plain loop.
func token68(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '-' && c <= '9': // with "-", "." and "/"
		case c == '_', c == '~', c == '+', c == '=':
		default:
			return false
		}
	}
	return s != ""
}
