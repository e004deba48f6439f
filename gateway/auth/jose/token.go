// Package jose reads and verifies compact signed tokens (RFC 7515) as narrowly as
// they can be read: an exact algorithm, a key that fits it, and nothing that the
// token brings along to be verified with.
package jose

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/auth/rule"
)

// MaxBytes bounds a token, and maxProof a proof, which nobody has a reason to make
// large. Providers that list the groups of a person make tokens of tens of kilobytes.
const (
	MaxBytes = 64 << 10
	maxProof = 8 << 10
)

// maxKID bounds a key id. It is only ever compared.
const maxKID = 256

// Token is a token that is well formed. Nothing in it is true before Verify.
type Token struct {
	Alg    string
	KID    string
	HasKID bool
	Type   string         // typ in lower case without "application/", empty when absent
	JWK    map[string]any // the embedded key of a proof, nil in every other token
	Claims map[string]any

	signed    string // what the signature is over
	signature []byte
}

// Parse reads an access token. Errors are rules.
func Parse(s string) (*Token, error) { return parse(s, false) }

// ParseProof reads a DPoP proof: the one kind of token that brings its key
// (RFC 9449 section 4.2).
func ParseProof(s string) (*Token, error) { return parse(s, true) }

func parse(s string, proof bool) (*Token, error) {
	if len(s) > MaxBytes || proof && len(s) > maxProof {
		return nil, rule.TooLarge
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: %d parts", rule.Compact, len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := decode(p)
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("%w: part %d", rule.Compact, i+1)
		}
		raw[i] = b
	}
	t := &Token{signed: s[:len(parts[0])+1+len(parts[1])], signature: raw[2]}
	if err := t.header(raw[0], proof); err != nil {
		return nil, err
	}
	if json.Unmarshal(raw[1], &t.Claims, exactNumbers()) != nil || t.Claims == nil {
		return nil, rule.PayloadJSON
	}
	return t, nil
}

// decode is base64url without padding, line breaks and loose bits: one text for
// one value, so that a token cannot be varied without changing it.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, rule.Compact
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

func (t *Token) header(raw []byte, proof bool) error {
	var h map[string]any
	if json.Unmarshal(raw, &h) != nil || h == nil {
		return rule.HeaderJSON
	}
	if err := refuseExtras(h, proof); err != nil {
		return err
	}
	for name, to := range map[string]*string{"alg": &t.Alg, "kid": &t.KID, "typ": &t.Type} {
		v, ok := h[name]
		if !ok {
			continue
		}
		if *to, ok = v.(string); !ok {
			return fmt.Errorf("%w: %s is not a string", rule.HeaderJSON, name)
		}
	}
	if _, t.HasKID = h["kid"]; len(t.KID) > maxKID {
		return rule.KeyID
	}
	t.JWK, _ = h["jwk"].(map[string]any)
	t.Type = strings.TrimPrefix(strings.ToLower(t.Type), "application/")
	if family(t.Alg) == "" {
		return rule.Algorithm
	}
	return nil
}

// refuseExtras refuses parameters by which a token would say how it is to be
// verified: those that bring a key or say where one is. The ones that only name a
// key (kid, x5t, x5t#S256) are hints; the key is one of the issuer's in any case.
func refuseExtras(h map[string]any, proof bool) error {
	for _, name := range []string{"jwk", "jku", "x5u", "x5c"} {
		if _, ok := h[name]; ok && !(proof && name == "jwk") {
			return fmt.Errorf("%w: %s", rule.Embedded, name)
		}
	}
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, ok := h[name]; ok {
			return fmt.Errorf("%w: %s", rule.Critical, name)
		}
	}
	return nil
}
