package auth

import (
	"errors"
	"net/http"
	"strings"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// Challenge returns the WWW-Authenticate value for an error that is answered with
// 401, or with 403 for a missing scope (RFC 6750 section 3, RFC 9449 section 7.1,
// RFC 9728 section 5.1); it is empty for other errors. Resource is the path whose
// metadata document applies, "/mcp", or empty for the document of the whole
// gateway. Only a gateway with an authorization server names the document, because
// clients begin to log in where they see it.
func (ch *Authenticator) Challenge(r *http.Request, err *call.Error, resource string) string {
	if err == nil {
		return ""
	}
	var fault string
	switch err.Code {
	case call.Unauthenticated:
		fault = tokenFault(err)
	case call.AmbiguousCredentials:
		fault = `, error="invalid_request"`
	case call.InsufficientScope:
		fault = `, error="insufficient_scope"` + scopeParam(err.Scopes)
	case call.OnBehalfOfRequired:
		fault = `, error="on_behalf_of_required", error_description="send a second credential: ` + BehalfHeader + `: Bearer TOKEN"`
	default:
		return ""
	}
	params := `realm="portcullis"`
	if ch.authorizationServer() != "" {
		params = `resource_metadata="` + ch.metadataURL(r, resource) + `"`
	}
	switch {
	case isProofFault(err):
		return "DPoP " + params + `, error="invalid_dpop_proof", algs="` + strings.Join(proofAlgorithms(), " ") + `"`
	case ch.tokens == nil && ch.authorizationServer() == "":
		return "ApiKey " + params + fault
	}
	return "Bearer " + params + fault
}

// tokenFault is empty when no credential came: RFC 6750 section 3.1 has no error
// code for that.
func tokenFault(err error) string {
	if errors.Is(err, rule.NoCredential) {
		return ""
	}
	return `, error="invalid_token", error_description="` + rule.Of(err).Word() + `"`
}

// scopeParam asks for the scopes that are missing. Scopes that could break out of
// the quotes cannot exist, but a policy may have made these.
func scopeParam(scopes []string) string {
	words := strings.Join(scopes, " ")
	if words == "" || strings.ContainsFunc(words, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		return ""
	}
	return `, scope="` + words + `"`
}

func isProofFault(err error) bool {
	return strings.HasPrefix(string(rule.Of(err)), "dpop.")
}

func proofAlgorithms() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

// base is the gateway's own address as callers know it.
func (ch *Authenticator) base(r *http.Request) string {
	if ch.cfg.PublicURL != "" {
		return strings.TrimRight(ch.cfg.PublicURL, "/")
	}
	return ch.trust.Scheme(r) + "://" + safeHost(r.Host)
}

// safeHost keeps a Host header from meaning anything inside quotes.
func safeHost(h string) string {
	ok := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".-_:[]", c)
	}
	if strings.TrimFunc(h, ok) != "" {
		return "localhost"
	}
	return h
}

func (ch *Authenticator) metadataURL(r *http.Request, resource string) string {
	return ch.base(r) + MetadataPath + resource
}
