package apikey

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
)

// parseJSON reads the old form, a map from key to subject. Its keys carry all
// four scopes. Each is known by its subject; several keys of one subject are
// numbered.
func parseJSON(o Options) (keys []*key, warnings []string, err error) {
	if strings.TrimSpace(o.JSON) == "" {
		return nil, nil, nil
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(o.JSON), &m); err != nil {
		return nil, nil, errors.New("not a JSON object of API key to subject") // the cause would quote a key
	}
	seen := map[string]int{}
	var errs []error
	for _, e := range byHash(m) {
		warn, err := checkLength(e.secret, e.subject, o.Loopback)
		errs = append(errs, err)
		warnings = append(warnings, warn...)
		seen[e.subject]++
		id := e.subject
		if n := seen[e.subject]; n > 1 {
			id = fmt.Sprintf("%s.%d", id, n)
		}
		c := &call.Caller{Subject: e.subject, Scopes: principal.AllScopes(), Method: call.APIKey, KeyID: id}
		if err := principal.CheckNamed(c, o.Base); err != nil {
			errs = append(errs, fmt.Errorf("subject %q: %w", e.subject, err))
		}
		keys = append(keys, &key{id: id, hash: e.hash, caller: c})
	}
	return keys, warnings, errors.Join(errs...)
}

type pair struct {
	secret, subject string
	hash            [sha256.Size]byte
}

// byHash orders the pairs, so that their numbers are the same at every start.
func byHash(m map[string]string) []pair {
	var out []pair
	for k, subject := range m {
		out = append(out, pair{k, subject, sha256.Sum256([]byte(k))})
	}
	slices.SortFunc(out, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), bytes.Compare(a.hash[:], b.hash[:]))
	})
	return out
}

func checkLength(secret, subject string, loopback bool) (warnings []string, err error) {
	switch {
	case strings.TrimSpace(secret) == "":
		return nil, fmt.Errorf("the key of subject %q is blank", subject)
	case secret != strings.TrimSpace(secret) || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, fmt.Errorf("the key of subject %q has characters that no header can carry", subject)
	case len(secret) >= MinLength:
		return nil, nil
	case loopback:
		return []string{fmt.Sprintf("the API key of subject %q is shorter than %d bytes; only a loopback listener accepts it", subject, MinLength)}, nil
	}
	return nil, fmt.Errorf("the key of subject %q is shorter than %d bytes, which only a loopback listener accepts", subject, MinLength)
}

// File is the form of a keys file, in YAML or JSON.
type File struct {
	Keys []Entry `yaml:"keys" json:"keys"`
}

// Entry is one key of a keys file.
type Entry struct {
	ID      string    `yaml:"id" json:"id"`                              // names the key in logs, metrics and the deny list
	Hash    string    `yaml:"hash" json:"hash"`                          // "sha256:" and the hash of the key in hex
	Subject string    `yaml:"subject" json:"subject"`                    // who calls with it
	Kind    string    `yaml:"kind,omitempty" json:"kind,omitempty"`      // agent (default), human or service
	Tenant  string    `yaml:"tenant,omitempty" json:"tenant,omitempty"`  // may be empty
	Scopes  []string  `yaml:"scopes" json:"scopes"`                      // must be given, may be empty
	Roles   []string  `yaml:"roles,omitempty" json:"roles,omitempty"`    // for the policy
	Prefix  string    `yaml:"prefix,omitempty" json:"prefix,omitempty"`  // full path in the KV mount; empty for the subject's own
	Tier    string    `yaml:"tier,omitempty" json:"tier,omitempty"`      // rate tier to ask for
	Created time.Time `yaml:"created,omitempty" json:"created,omitzero"` // RFC 3339; absent when unknown. For the policy
	Expires time.Time `yaml:"expires,omitempty" json:"expires,omitzero"` // RFC 3339; absent for never
}

// parseFile reads a keys file strictly and lists every mistake in it.
func parseFile(data []byte, base call.Path) ([]*key, error) {
	var f File
	dec := yaml.NewDecoder(bytes.NewReader(data)) // JSON is YAML
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var keys []*key
	var errs []error
	for i, e := range f.Keys {
		k, err := e.key(base)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %d (%s): %w", i+1, e.ID, err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, errors.Join(errs...)
}

func (e Entry) key(base call.Path) (*key, error) {
	if _, err := call.ParseSubject(e.ID); err != nil {
		return nil, errors.New("id: not a safe name")
	}
	if e.Scopes == nil {
		return nil, errors.New("scopes: missing; give [] for none")
	}
	if e.Tier != "" {
		if _, err := call.ParseName(e.Tier); err != nil {
			return nil, errors.New("tier: not a safe name")
		}
	}
	hash, err := parseHash(e.Hash)
	if err != nil {
		return nil, err
	}
	c := &call.Caller{
		Subject: e.Subject, Kind: e.Kind, Tenant: e.Tenant, Roles: e.Roles, Scopes: e.Scopes,
		Tier: e.Tier, Method: call.APIKey, KeyID: e.ID,
		Created: e.Created, Expires: e.Expires,
	}
	if e.Prefix != "" {
		if c.Prefix, err = call.ParsePlain(e.Prefix); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
	}
	if err := principal.CheckNamed(c, base); err != nil {
		return nil, err
	}
	return &key{id: e.ID, hash: hash, caller: c}, nil
}

func parseHash(s string) (h [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(h) {
		return h, errors.New(`hash: want "sha256:" and 64 hex digits`)
	}
	if blank := sha256.Sum256(nil); bytes.Equal(raw, blank[:]) {
		return h, errors.New("hash: of a blank key")
	}
	return [sha256.Size]byte(raw), nil
}
