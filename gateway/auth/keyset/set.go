// Package keyset keeps an issuer's public keys: read from a file or fetched, kept
// while the issuer is away, and gone as soon as the issuer has taken them out.
package keyset

import (
	"bytes"
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
	if err := json.Unmarshal(trimBOM(data), &doc); err != nil || doc.Keys == nil {
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

// trimBOM takes a byte order mark away, which RFC 8259 section 8.1 lets a reader
// ignore. Some tools write one in front of every file.
func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

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

// errUnnamed says that none of the keys without an id made a signature: a newer set
// might have the one that did.
var errUnnamed = errors.New("made by none of the keys without an id")

// maxUnnamed bounds the keys without an id that are tried for one token.
const maxUnnamed = 8

// Verify checks the signature of a token and returns the key that made it. Errors
// are rules; rule.KeyID says that a newer set might know the key.
func (s *Set) Verify(t *jose.Token) (*jose.Key, error) {
	k, err := s.named(t)
	if err == nil {
		return k, t.Verify(k)
	}
	unnamed := s.unnamed(t)
	if len(unnamed) == 0 || !errors.Is(err, rule.KeyID) {
		return nil, err
	}
	for _, k := range unnamed {
		if t.Verify(k) == nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", rule.Signature, errUnnamed)
}

// named returns the one key for a token: the one with its key id, or, when it has
// none, the only one that fits its algorithm.
func (s *Set) named(t *jose.Token) (*jose.Key, error) {
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
		if len(fits) == 0 || k.Print != fits[0].Print { // a set may have a key twice
			fits = append(fits, k)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		return nil, fmt.Errorf("%w: more than one key could be meant", rule.KeyID)
	case known && t.HasKID:
		return nil, misfit
	}
	return nil, fmt.Errorf("%w: no such key among %d", rule.KeyID, len(s.keys))
}

// unnamed are the keys that a token can mean although it does not name them: a key
// id is a hint (RFC 7515 section 4.1.4), and a set may have no ids at all. In a set
// with ids, a token's id names its key and nothing else.
func (s *Set) unnamed(t *jose.Token) (fits []*jose.Key) {
	for _, k := range s.keys {
		if k.KID != "" {
			return nil
		}
		if k.Fits(t.Alg) == nil && len(fits) < maxUnnamed {
			fits = append(fits, k)
		}
	}
	return fits
}

// Has reports whether a key of that name and thumbprint is in the set. One without a
// thumbprint is known by its name alone.
func (s *Set) Has(name, print string) bool {
	for _, k := range s.keys {
		if k.Name() == name && (print == "" || k.Print == print) {
			return true
		}
	}
	return false
}

// Len is the number of keys.
func (s *Set) Len() int { return len(s.keys) }
