// Package authtest makes credentials for tests: issuers, keys, tokens, proofs and
// certificates that are obviously fake and made anew each time. It also forges
// them. It panics when the machine cannot make a key.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Key signs tokens.
type Key struct {
	Alg     string
	KID     string
	Private any // what jws signs with
}

// NewKey makes a key for an algorithm.
func NewKey(alg, kid string) Key { return Key{alg, kid, newPrivate(alg)} }

func newPrivate(alg string) any {
	switch alg {
	case "ES256":
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case "ES384":
		return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case "ES512":
		return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	case "EdDSA":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return must(k, err)
	case "HS256", "HS384", "HS512":
		b := make([]byte, 64)
		_, err := rand.Read(b)
		return must(b, err)
	}
	return must(rsa.GenerateKey(rand.Reader, 2048))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Public is the key as a JWK with its id, algorithm and use.
func (k Key) Public() map[string]any {
	pub := must(must(jwk.FromRaw(k.Private)).PublicKey())
	out := map[string]any{}
	must(0, json.Unmarshal(must(json.Marshal(pub)), &out))
	if k.KID != "" {
		out["kid"] = k.KID
	}
	out["alg"], out["use"] = k.Alg, "sig"
	return out
}

// Print is the RFC 7638 thumbprint of the key.
func (k Key) Print() string {
	pub := must(must(jwk.FromRaw(k.Private)).PublicKey())
	return encode(must(pub.Thumbprint(crypto.SHA256)))
}

// JWKS is the key set with the keys.
func JWKS(keys ...Key) []byte {
	set := map[string]any{"keys": []any{}}
	for _, k := range keys {
		set["keys"] = append(set["keys"].([]any), k.Public())
	}
	return must(json.Marshal(set))
}

// Sign makes a token with the header that a good issuer gives it.
func (k Key) Sign(claims map[string]any) string {
	h := map[string]any{"alg": k.Alg, "typ": "at+jwt"}
	if k.KID != "" {
		h["kid"] = k.KID
	}
	return k.SignWith(h, claims)
}

// SignWith makes a token with any header. The key's own algorithm is used,
// whatever the header says.
func (k Key) SignWith(header, claims map[string]any) string {
	return k.SignText(string(must(json.Marshal(header))), string(must(json.Marshal(claims))))
}

// SignText signs any header and payload, JSON or not.
func (k Key) SignText(header, payload string) string {
	s := encode([]byte(header)) + "." + encode([]byte(payload))
	signer := must(jws.NewSigner(jwa.SignatureAlgorithm(k.Alg)))
	return s + "." + encode(must(signer.Sign([]byte(s), k.Private)))
}

// Claims are those of a good token of the subject, changed by more; a nil value
// removes a claim.
func Claims(subject string, more map[string]any) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": "mcp-auth", "aud": "mcp-agents", "sub": subject, "scope": "read list",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": encode(randomBytes(9)),
	}
	for name, v := range more {
		if v == nil {
			delete(c, name)
			continue
		}
		c[name] = v
	}
	return c
}

// Proof makes a DPoP proof (RFC 9449 section 4.2) for a request, with claims
// changed by more.
func (k Key) Proof(method, url, token string, more map[string]any) string {
	sum := sha256.Sum256([]byte(token))
	claims := map[string]any{
		"htm": method, "htu": url, "ath": encode(sum[:]), "jti": encode(randomBytes(9)), "iat": time.Now().Unix(),
	}
	maps.Copy(claims, more)
	return k.SignWith(k.ProofHeader(), claims)
}

// ProofHeader is the header of a good proof.
func (k Key) ProofHeader() map[string]any {
	pub := k.Public()
	for _, extra := range []string{"kid", "alg", "use"} {
		delete(pub, extra)
	}
	return map[string]any{"typ": "dpop+jwt", "alg": k.Alg, "jwk": pub}
}

// Parts splits a compact token.
func Parts(token string) (header, payload, signature string) {
	p := strings.SplitN(token, ".", 3)
	return p[0], p[1], p[2]
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return must(b, err)
}
