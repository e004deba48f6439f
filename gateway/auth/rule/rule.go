// Package rule names every rule that a credential can break. A refusal always
// says which one, for the log and the tests; the caller learns the Word of it.
package rule

import (
	"errors"
	"strings"
)

// Rule is one reason to refuse a credential. It is an error, so that a cause is
// added with fmt.Errorf("%w: ...", rule.X) and found with errors.Is.
type Rule string

func (r Rule) Error() string { return string(r) }

// Of returns the rule that err names, empty when it names none.
func Of(err error) Rule {
	r, _ := errors.AsType[Rule](err)
	return r
}

// Word says to whoever presented the credential what to mend, in a word or two. It
// helps nobody who forges: what a token claims is judged only when its signature is
// good, and of a certificate or an unknown name no more is said than its kind.
func (r Rule) Word() string {
	for prefix, word := range words() {
		if string(r) == prefix || strings.HasSuffix(prefix, ".") && strings.HasPrefix(string(r), prefix) {
			return word
		}
	}
	return ""
}

// words has a word for each rule, or for all rules that begin with a text that ends
// in a dot. No rule has two.
func words() map[string]string {
	return map[string]string{
		string(Ambiguous): "more than one credential", string(Scheme): "scheme", string(MethodOff): "method not accepted here",
		string(Denied): "revoked", string(UnsafeName): "subject", string(SPIFFE): "subject", string(Taken): "subject taken", string(NoSession): "unknown session",
		string(BadScope): "scope", string(BadActor): "actor", string(BadKind): "kind", string(TooMany): "too many roles, groups or scopes",
		string(UnknownKey): "unknown key", string(ExpiredKey): "expired",
		string(TooLarge): "too large", string(Compact): "malformed", string(HeaderJSON): "malformed", string(PayloadJSON): "malformed",
		string(Algorithm): "algorithm", string(KeyMismatch): "algorithm", string(Embedded): "embedded key", string(Critical): "critical header",
		string(Type): "token type", string(KeyID): "unknown key", string(Signature): "signature",
		string(NoExpiry): "no expiry", string(Expired): "expired", string(NotYet): "not yet valid", string(IssuedLater): "not yet valid",
		string(Issuer): "issuer", string(Audience): "audience", string(NoSubject): "subject", string(ClaimType): "claim type", string(ClaimSize): "claim size",
		string(Confirmation): "binding", string(Unbound): "binding", string(CertBound): "binding: it needs the client certificate that it names",
		string(KeyBound): "binding: it needs a DPoP proof with the key that it names on each request",
		"dpop.":          "proof", "cert.": "certificate",
	}
}

// Rules of presenting a credential.
const (
	NoCredential Rule = "credential.none"      // RFC 6750 section 3.1: a request without one is told how to get one
	Ambiguous    Rule = "credential.ambiguous" // one request, one identity: two are never compared or ranked
	Scheme       Rule = "credential.scheme"    // RFC 9110 section 11.4: Bearer or DPoP, one space, token68
	MethodOff    Rule = "credential.off"       // the operator has not switched this method on
	Limited      Rule = "credential.limited"   // too many failures from this address
	Denied       Rule = "credential.denied"    // on the deny list
	NoSession    Rule = "credential.session"   // a session that has ended, or never was one
)

// Rules of identities.
const (
	UnsafeName Rule = "name.unsafe" // subjects and tenants become path segments: one safe segment only
	TooMany    Rule = "name.many"   // roles, groups and scopes are bounded
	Taken      Rule = "name.taken"  // the name belongs to another kind of credential or another issuer
	SPIFFE     Rule = "name.spiffe" // SPIFFE-ID section 2: scheme, trust domain, path, nothing else
	BadScope   Rule = "name.scope"  // RFC 6749 section 3.3: printable ASCII without quote and backslash
	BadActor   Rule = "name.actor"  // RFC 8693 section 4.1: act is an object that names a subject
	BadKind    Rule = "name.kind"   // agent, human or service
)

// Rules of API keys.
const (
	UnknownKey Rule = "key.unknown"
	ExpiredKey Rule = "key.expired"
)

// Rules of the form of signed tokens (RFC 7515, RFC 7519, RFC 8725).
const (
	TooLarge    Rule = "token.size"     // bounded before any work is done on it
	Compact     Rule = "token.compact"  // RFC 7515 section 7.1: three base64url parts without padding
	HeaderJSON  Rule = "token.header"   // RFC 7515 section 4: one JSON object, no duplicate names
	PayloadJSON Rule = "token.payload"  // RFC 7519 section 4: one JSON object, no duplicate names
	Algorithm   Rule = "token.alg"      // RFC 8725 section 3.1: an allow-list, compared exactly
	Embedded    Rule = "token.embedded" // RFC 8725 section 3.10: keys never come with the token
	Critical    Rule = "token.crit"     // RFC 7515 section 4.1.11: no extension is understood
	Type        Rule = "token.typ"      // RFC 8725 section 3.11: another kind of token is not an access token
	KeyID       Rule = "token.kid"      // RFC 8725 section 3.10: an exact name in the key set, nothing else
	KeyMismatch Rule = "token.key"      // RFC 8725 section 3.1: one algorithm family per key, right curve, right size
	Signature   Rule = "token.sig"      // RFC 7515 section 5.2
)

// Rules of claims (RFC 7519 section 4.1, RFC 9068).
const (
	NoExpiry    Rule = "claim.exp.missing"
	Expired     Rule = "claim.exp"
	NotYet      Rule = "claim.nbf"
	IssuedLater Rule = "claim.iat"
	Issuer      Rule = "claim.iss"
	Audience    Rule = "claim.aud" // RFC 7519 section 4.1.3, RFC 8707 section 2
	NoSubject   Rule = "claim.sub"
	ClaimType   Rule = "claim.type" // a claim is of the type that its definition gives it
	ClaimSize   Rule = "claim.size" // what the policy gets to see is bounded
)

// Rules of bound tokens (RFC 7800, RFC 8705, RFC 9449).
const (
	Confirmation Rule = "cnf.unknown" // RFC 7800 section 3.1: a confirmation that is not understood binds to nothing
	CertBound    Rule = "cnf.x5t"     // RFC 8705 section 3: the token needs the certificate that it names
	KeyBound     Rule = "cnf.jkt"     // RFC 9449 section 7.1: the token needs a proof with the key that it names
	Unbound      Rule = "cnf.none"    // RFC 9449 section 7.1: the DPoP scheme takes bound tokens only
	Proof        Rule = "dpop.proof"  // RFC 9449 section 4.3: exactly one well-formed proof
	ProofMethod  Rule = "dpop.htm"
	ProofURL     Rule = "dpop.htu"
	ProofTime    Rule = "dpop.iat"
	ProofToken   Rule = "dpop.ath"
	ProofReplay  Rule = "dpop.jti"
	ProofFlood   Rule = "dpop.flood" // one holder has made more proofs than are remembered of it
	ProofStore   Rule = "dpop.store" // what remembers proofs for all replicas does not answer
)

// Rules of client certificates (RFC 5280, RFC 4514, RFC 6125).
const (
	CertChain   Rule = "cert.chain"   // verified against the configured client CA
	CertTime    Rule = "cert.time"    // valid at the time of the call, not only of the handshake
	CertRevoked Rule = "cert.revoked" // RFC 5280 section 5
	CertNoCRL   Rule = "cert.crl"     // a missing or outdated list says nothing, so it refuses
	CertName    Rule = "cert.name"    // exactly one name of the configured kind
	CertVerify  Rule = "cert.verify"  // the proxy must say SUCCESS, nothing else
	DN          Rule = "cert.dn"      // RFC 4514 section 3
)
