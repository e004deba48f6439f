// Package apikey knows API keys by their hash alone: a key is shown once, when it
// is made, and never kept.
package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
	"portcullis/gateway/files"
)

// MinLength is the shortest key that is accepted on a listener that others can
// reach, in bytes. The keys that New makes have 43.
const MinLength = 24

// Store holds the keys of the configuration and of the keys file.
type Store struct {
	fixed []*key
	base  call.Path
	file  *files.File // nil when there is none
	keys  atomic.Pointer[table]
}

// table is one state of the store, never changed.
type table struct {
	byHash map[[sha256.Size]byte]*key
	byID   map[string]*key
	owned  map[string]bool // the principals, by Caller.Key
}

type key struct {
	id     string
	hash   [sha256.Size]byte
	caller *call.Caller
	used   *metrics.Gauge
}

// Options are what a store is made of.
type Options struct {
	JSON     string    // old form: a JSON object key -> subject
	File     string    // path of a keys file, see File
	Base     call.Path // default prefix of callers
	Loopback bool      // short keys are accepted
}

// Open reads the keys. The second result are warnings, for the operator.
func Open(o Options) (*Store, []string, error) {
	s := &Store{base: o.Base}
	fixed, warnings, err := parseJSON(o)
	if err != nil {
		return nil, nil, err
	}
	s.fixed = fixed
	if err := s.put(nil); err != nil {
		return nil, nil, err
	}
	if o.File != "" {
		s.file = files.New(o.File)
		if _, err := s.Reload(); err != nil {
			return nil, nil, err
		}
	}
	return s, warnings, nil
}

// Reload reads the keys file again if it has changed and reports whether it had.
// A file with a mistake changes nothing.
func (s *Store) Reload() (bool, error) {
	if s.file == nil {
		return false, nil
	}
	return s.file.Poll(func(data []byte) error {
		keys, err := parseFile(data, s.base)
		if err != nil {
			return err
		}
		return s.put(keys)
	})
}

// put makes the table of the fixed keys and those of the file.
func (s *Store) put(more []*key) error {
	t := &table{map[[sha256.Size]byte]*key{}, map[string]*key{}, map[string]bool{}}
	for _, k := range append(slices.Clone(s.fixed), more...) {
		if o := t.byHash[k.hash]; o != nil {
			return fmt.Errorf("keys %s and %s are the same key", o.id, k.id)
		}
		if t.byID[k.id] != nil {
			return fmt.Errorf("key id %s is used twice", k.id)
		}
		if k.caller.KeyPrint == "" { // that of a fixed key stays
			k.caller.KeyPrint = k.keyPrint()
		}
		k.used = metrics.GetOrCreateGauge("portcullis_auth_api_key_last_used_seconds{key="+strconv.Quote(k.id)+"}", nil)
		t.byHash[k.hash], t.byID[k.id], t.owned[k.caller.Key()] = k, k, true
	}
	s.keys.Store(t)
	return nil
}

// Lookup returns the caller of a key. The caller is shared: copy it to change it.
func (s *Store) Lookup(presented string, now time.Time) (*call.Caller, error) {
	k := s.find(presented)
	if k == nil {
		return nil, rule.UnknownKey
	}
	if k.expired(now) {
		return nil, rule.ExpiredKey
	}
	k.used.Set(float64(now.Unix()))
	return k.caller, nil
}

// Has reports whether a text is one of the keys, expired or not.
func (s *Store) Has(presented string) bool { return s.find(presented) != nil }

// find returns a key by its hash, and compares that in constant time, so the time
// taken says nothing about keys that exist.
func (s *Store) find(presented string) *key {
	h := sha256.Sum256([]byte(presented))
	k := s.keys.Load().byHash[h]
	if k == nil || subtle.ConstantTimeCompare(k.hash[:], h[:]) != 1 {
		return nil
	}
	return k
}

// Owns reports whether a key of the store names the principal.
func (s *Store) Owns(principal string) bool { return s.keys.Load().owned[principal] }

// Valid reports whether the key that a caller came with is still good for the same
// caller, with the same rights: whoever has replaced a key under its id, or taken scopes
// from it, means sessions and streams that were begun with it as well.
func (s *Store) Valid(c *call.Caller, now time.Time) error {
	k, err := s.named(c, now)
	if err == nil && c.KeyPrint != "" && c.KeyPrint != k.caller.KeyPrint {
		err = rule.UnknownKey
	}
	return err
}

// Named reports whether there is a good key with the id and the name of the one that a
// caller came with.
func (s *Store) Named(c *call.Caller, now time.Time) error {
	_, err := s.named(c, now)
	return err
}

func (s *Store) named(c *call.Caller, now time.Time) (*key, error) {
	k := s.keys.Load().byID[c.KeyID]
	switch {
	case k == nil, k.caller.Key() != c.Key():
		return nil, rule.UnknownKey
	case k.expired(now):
		return nil, rule.ExpiredKey
	}
	return k, nil
}

// keyPrint is a digest of a key and of everything that its entry says.
func (k *key) keyPrint() string {
	entry, _ := json.Marshal(k.caller) // texts, lists of them and times
	sum := sha256.Sum256(append(entry, k.hash[:]...))
	return hex.EncodeToString(sum[:16])
}

// Len is the number of keys.
func (s *Store) Len() int { return len(s.keys.Load().byHash) }

func (k *key) expired(now time.Time) bool {
	return !k.caller.Expires.IsZero() && !now.Before(k.caller.Expires)
}
