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
// scheme is compared without case. The token is taken as it is: what is no base64url
// is refused when it is read.
func authorization(v string) (credential, error) {
	if len(v) > maxHeader {
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
	return credential{method: call.JWT, value: tok, dpop: dpop}, nil
}
