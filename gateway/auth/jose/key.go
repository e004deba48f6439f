package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"portcullis/gateway/auth/rule"
)

// Bounds of an RSA modulus, in bits: RFC 7518 section 3.3 has the lower one, the
// upper one bounds the work that a proof with a key of its own can cause.
const (
	minRSA = 2048
	maxRSA = 8192
)

// Key verifies signatures. It is immutable.
type Key struct {
	KID   string // as in the key set, may be empty
	Alg   string // the only algorithm it may be used with, empty for those of its type
	Print string // RFC 7638 thumbprint (SHA-256, base64url), empty for a secret
	raw   any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte
}

// Name is what the key is called in logs and the deny list: its id, else its
// thumbprint.
func (k *Key) Name() string {
	if k.KID != "" {
		return k.KID
	}
	return k.Print
}

// Secret makes the key of the HMAC algorithms. It never meets a public key: those
// algorithms are verified with it alone.
func Secret(s []byte) *Key { return &Key{raw: s} }

// ParseKey reads one JWK (RFC 7517) as a public key for signatures. Symmetric
// keys are refused: one that is published is no secret. So is a key whose use or
// operations are others.
func ParseKey(raw []byte) (*Key, error) {
	var dup map[string]any
	if json.Unmarshal(raw, &dup) != nil {
		return nil, errors.New("not a JSON object without duplicate names")
	}
	if dup["use"] == "jwt-svid" { // SPIFFE trust bundles, section 4.2.2: a key for JWT-SVIDs
		delete(dup, "use")
		if raw, _ = json.Marshal(dup); len(raw) == 0 {
			return nil, errors.New("not a JSON web key")
		}
	}
	k, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, errors.New("not a JSON web key") // the cause could quote a private key
	}
	if k.KeyType() == jwa.OctetSeq {
		return nil, errors.New("a symmetric key")
	}
	if err := usable(k); err != nil {
		return nil, err
	}
	return publicKey(k)
}

func usable(k jwk.Key) error {
	if u := k.KeyUsage(); u != "" && u != string(jwk.ForSignature) {
		return errors.New("not a key for signatures")
	}
	ops := k.KeyOps()
	for _, op := range ops {
		if op == jwk.KeyOpVerify {
			return nil
		}
	}
	if len(ops) > 0 {
		return errors.New("not a key for verification")
	}
	return nil
}

func publicKey(k jwk.Key) (*Key, error) {
	pub, err := k.PublicKey()
	if err != nil {
		return nil, errors.New("no public key in it")
	}
	print, err := pub.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("no thumbprint of it")
	}
	out := &Key{KID: k.KeyID(), Print: base64.RawURLEncoding.EncodeToString(print)}
	if a := k.Algorithm(); a != nil {
		out.Alg = a.String()
	}
	var raw any
	if err := pub.Raw(&raw); err != nil {
		return nil, errors.New("not a valid key")
	}
	switch raw := raw.(type) {
	case *ecdsa.PublicKey:
		if _, err := raw.ECDH(); err != nil {
			return nil, errors.New("not a point of its curve")
		}
		out.raw = raw
		return out, nil
	case *rsa.PublicKey, ed25519.PublicKey:
		out.raw = raw
		return out, nil
	}
	return nil, fmt.Errorf("keys of type %T are not supported", raw)
}

// family is what kind of key an algorithm needs, empty for an algorithm that is
// not accepted. The names are compared exactly: "none" in any spelling is not
// among them.
func family(alg string) string {
	switch alg {
	case "HS256", "HS384", "HS512":
		return "secret"
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return "RSA"
	case "ES256":
		return "P-256"
	case "ES384":
		return "P-384"
	case "ES512":
		return "P-521"
	case "EdDSA":
		return "Ed25519"
	}
	return ""
}

// Symmetric reports whether an algorithm is verified with a secret.
func Symmetric(alg string) bool { return family(alg) == "secret" }

// Fits reports with rule.KeyMismatch why a key may not be used with an algorithm.
func (k *Key) Fits(alg string) error {
	if k.Alg != "" && k.Alg != alg {
		return fmt.Errorf("%w: the key is for another algorithm", rule.KeyMismatch)
	}
	if got := k.family(); got == "" || got != family(alg) {
		return fmt.Errorf("%w: a %s key", rule.KeyMismatch, got)
	}
	switch raw := k.raw.(type) {
	case *rsa.PublicKey:
		if n := raw.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("%w: %d bits", rule.KeyMismatch, raw.N.BitLen())
		}
	case []byte:
		if len(raw) == 0 || alg != "HS256" && len(raw) < hashLen(alg) {
			return fmt.Errorf("%w: the secret is too short", rule.KeyMismatch)
		}
	}
	return nil
}

// hashLen is the least length of a secret (RFC 7518 section 3.2), in bytes.
func hashLen(alg string) int {
	return map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]
}

func (k *Key) family() string {
	switch raw := k.raw.(type) {
	case []byte:
		return "secret"
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return raw.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

// Verify checks the signature. Errors are rules.
func (t *Token) Verify(k *Key) error {
	if err := k.Fits(t.Alg); err != nil {
		return err
	}
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(t.Alg))
	if err != nil {
		return rule.Algorithm
	}
	if v.Verify([]byte(t.signed), t.signature, k.raw) != nil {
		return rule.Signature
	}
	return nil
}
