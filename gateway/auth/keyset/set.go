// Package keyset keeps an issuer's public keys: read from a file or fetched, kept
// while the issuer is away, and gone as soon as the issuer has taken them out.
package keyset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
)

// maxKeys bounds a set.
const maxKeys = 256

// Set is a set of public keys. It is immutable, and as long as the keys stay the
// same it is the same pointer.
type Set struct {
	keys   []*jose.Key
	digest [sha256.Size]byte
}

// Parse reads a JWK set (RFC 7517 section 5). Keys that cannot verify a signature
// are left out; why is said in the second result. A set in which there are keys,
// but not one to be used, is an error.
func Parse(data []byte) (*Set, []string, error) {
	var doc struct {
		Keys *[]jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.Keys == nil {
		return nil, nil, errors.New("not a JSON web key set")
	}
	if len(*doc.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	s := &Set{}
	var left []string
	for i, raw := range *doc.Keys {
		k, err := jose.ParseKey(raw)
		if err != nil {
			left = append(left, fmt.Sprintf("key %d: %v", i+1, err))
			continue
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 && len(left) > 0 {
		return nil, nil, fmt.Errorf("no usable key: %v", left)
	}
	s.digest = digest(s.keys)
	return s, left, nil
}

// digest is the same for the same keys, in whatever order and form they come: a
// set that differs in nothing but these has not changed.
func digest(keys []*jose.Key) [sha256.Size]byte {
	var names []string
	for _, k := range keys {
		names = append(names, fmt.Sprintf("%q %q %q", k.KID, k.Alg, k.Print))
	}
	slices.Sort(names)
	return sha256.Sum256([]byte(strings.Join(names, "\n")))
}

// Find returns the one key for a token: the one with its key id, or, when it has
// none, the only one that fits its algorithm. Errors are rules; rule.KeyID says
// that a newer set might know the key.
func (s *Set) Find(t *jose.Token) (*jose.Key, error) {
	var fits []*jose.Key
	known := false
	var misfit error
	for _, k := range s.keys {
		if t.HasKID && (k.KID != t.KID || k.KID == "") {
			continue
		}
		known = true
		if err := k.Fits(t.Alg); err != nil {
			misfit = err
			continue
		}
		fits = append(fits, k)
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		return nil, fmt.Errorf("%w: more than one key could be meant", rule.KeyID)
	case known && t.HasKID:
		return nil, misfit
	}
	return nil, fmt.Errorf("%w: no such key", rule.KeyID)
}

// Has reports whether a key of that name is in the set.
func (s *Set) Has(name string) bool {
	for _, k := range s.keys {
		if k.Name() == name {
			return true
		}
	}
	return false
}

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }
