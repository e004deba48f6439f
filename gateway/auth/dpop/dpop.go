// Package dpop checks that whoever presents a token holds the key that it is bound
// to (RFC 9449): one fresh proof, made for this request and this token, used once.
package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
)

// A proof is accepted this long after it was made, and this long before, for
// clocks that differ (RFC 9449 section 11.1).
const (
	Age   = 60 * time.Second
	Ahead = 10 * time.Second
)

// Checker checks proofs. It is safe for concurrent use.
type Checker struct {
	own    *memory
	shared func(id string, until time.Time) (bool, error) // nil for none
}

// New makes a checker. Seen remembers proofs for all replicas and reports whether it
// knew one already; nil for a memory of this process alone.
func New(seen func(id string, until time.Time) (bool, error)) *Checker {
	return &Checker{&memory{now: time.Now}, seen}
}

// Request is what a proof has to be made for.
type Request struct {
	Proofs []string // values of the DPoP header
	Method string
	URL    string // as the caller knows it, without query
	Token  string
	JKT    string // thumbprint that the token is bound to
	Owner  string // the caller, by whom proofs are bounded
}

// FromHTTP takes what concerns a proof from a request. Base is the gateway's
// address as callers know it.
func FromHTTP(r *http.Request, base string) Request {
	return Request{Proofs: r.Header.Values("DPoP"), Method: r.Method, URL: base + r.URL.EscapedPath()}
}

// Check holds the proof of a request to RFC 9449 section 4.3. Errors are rules.
func (c *Checker) Check(r Request, now time.Time) error {
	if len(r.Proofs) != 1 {
		return fmt.Errorf("%w: %d proofs", rule.Proof, len(r.Proofs))
	}
	t, err := verify(r.Proofs[0], r.JKT)
	if err != nil {
		return err
	}
	jti, made, err := claims(t, r)
	if err != nil {
		return err
	}
	if made.Before(now.Add(-Age)) || made.After(now.Add(Ahead)) {
		return rule.ProofTime
	}
	return c.once(r, jti, made.Add(Age))
}

// once refuses a proof that was used before. The memory of this process is asked
// even when replicas share another one: it bounds what one caller can write there.
func (c *Checker) once(r Request, jti string, until time.Time) error {
	id := r.JKT + "." + jti
	if err := c.own.note(r.Owner, id); err != nil || c.shared == nil {
		return err
	}
	switch known, err := c.shared(id, until); {
	case err != nil:
		return fmt.Errorf("%w: %w", rule.ProofStore, err)
	case known:
		return rule.ProofReplay
	}
	return nil
}

// verify checks the proof's own signature and that its key is the bound one.
func verify(proof, jkt string) (*jose.Token, error) {
	t, err := jose.ParseProof(proof)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rule.Proof, err)
	}
	if t.Type != "dpop+jwt" || jose.Symmetric(t.Alg) || t.JWK == nil {
		return nil, fmt.Errorf("%w: type, algorithm or key", rule.Proof)
	}
	for _, private := range []string{"d", "k", "p", "q"} {
		if _, ok := t.JWK[private]; ok {
			return nil, fmt.Errorf("%w: a private key is in it", rule.Proof)
		}
	}
	raw, err := json.Marshal(t.JWK)
	if err != nil {
		return nil, fmt.Errorf("%w: key", rule.Proof)
	}
	key, err := jose.ParseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: key: %w", rule.Proof, err)
	}
	if err := t.Verify(key); err != nil {
		return nil, fmt.Errorf("%w: %w", rule.Proof, err)
	}
	if subtle.ConstantTimeCompare([]byte(key.Print), []byte(jkt)) != 1 {
		return nil, rule.KeyBound
	}
	return t, nil
}

// claims holds the proof's claims against the request.
func claims(t *jose.Token, r Request) (jti string, made time.Time, err error) {
	text := func(name string) string { s, _ := t.Claims[name].(string); return s }
	sum := sha256.Sum256([]byte(r.Token))
	switch {
	case text("htm") != r.Method:
		return "", made, rule.ProofMethod
	case !sameURL(text("htu"), r.URL):
		return "", made, rule.ProofURL
	case text("ath") != base64.RawURLEncoding.EncodeToString(sum[:]):
		return "", made, rule.ProofToken
	}
	jti = text("jti")
	if len(jti) < 1 || len(jti) > 256 {
		return "", made, rule.ProofReplay
	}
	iat, ok := t.Claims["iat"].(float64)
	if !ok || iat < 0 || iat > 1<<40 {
		return "", made, rule.ProofTime
	}
	return jti, time.Unix(int64(iat), 0), nil
}

// sameURL compares as RFC 9449 section 4.3 asks: without query and fragment,
// after the normalization of RFC 3986 section 6.2.2 and 6.2.3 that is safe,
// which is scheme, host and default port. Paths must be equal as they are.
func sameURL(a, b string) bool {
	x, errA := url.Parse(a)
	y, errB := url.Parse(b)
	if errA != nil || errB != nil || x.User != nil || x.Host == "" {
		return false
	}
	return strings.EqualFold(x.Scheme, y.Scheme) && hostPort(x) == hostPort(y) && path(x) == path(y)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

func path(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}
