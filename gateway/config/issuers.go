package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Issuer is one entry of [[issuers]] in the configuration file: who may vouch for
// callers beside the issuer of the JWT_* keys. Exactly one of JWKSURL, JWKSFile and
// Discovery says where its keys are.
type Issuer struct {
	Names     []string `cfg:"issuer"`      // values of iss; several names are one issuer, whose subjects are the same callers
	JWKSURL   string   `cfg:"jwks_url"`    // address of its key set
	JWKSFile  string   `cfg:"jwks_file"`   // file with its key set, read again when it changes
	Discovery bool     `cfg:"discovery"`   // find the keys through the issuer's discovery document
	Audience  []string `cfg:"audience"`    // one of them must be in aud
	KeyIDs    bool     `cfg:"require_kid"` // tokens without kid are refused

	Subject       string   `cfg:"subject"`        // template over claims, {sub} when absent: "{repository}", "{/kubernetes.io/namespace}:{sub}"
	SubjectFormat string   `cfg:"subject_format"` // plain (default), or spiffe
	SPIFFEPath    string   `cfg:"spiffe_path"`    // with spiffe: what stands between trust domain and last segment
	TrustDomains  []string `cfg:"trust_domains"`  // with spiffe: domain, or domain=tenant
	Tenant        string   `cfg:"tenant"`         // a name, or a template over claims
	RolesClaim    string   `cfg:"roles_claim"`    // name, dotted path or JSON pointer; roles when absent
	GroupsClaim   string   `cfg:"groups_claim"`   // the same; groups when absent
	Kind          string   `cfg:"kind"`           // agent (default), human or service
	KindClaim     string   `cfg:"kind_claim"`     // a claim that says it instead

	ScopeClaims    []string            `cfg:"scope_claims"`     // scope, scopes and scp when absent
	DefaultScopes  []string            `cfg:"default_scopes"`   // of a token that names none of read, write, delete and list
	ScopeMap       map[string][]string `cfg:"scope_map"`        // foreign scope -> scopes of the gateway
	ClaimsToPolicy []string            `cfg:"claims_to_policy"` // name, or name=/json/pointer
}

// decodeIssuers reads the entries, as tables of a file or as JSON text, and names
// each key that is unknown or wrong.
func decodeIssuers(to *[]Issuer, raw any) []error {
	problems := decodeEntries(to, "issuers", raw)
	for n := range *to {
		i := &(*to)[n]
		i.DefaultScopes = words(i.DefaultScopes)
		for foreign, ours := range i.ScopeMap {
			i.ScopeMap[foreign] = words(ours)
		}
	}
	return problems
}

func decodeMounts(to *[]Mount, raw any) []error { return decodeEntries(to, "mounts", raw) }

// decodeEntries reads a list of tables. name is what the list is called in a file.
func decodeEntries[T any](to *[]T, name string, raw any) []error {
	entries, ok := tables(raw)
	if !ok {
		return []error{fmt.Errorf("%s: want a list of tables, in a TOML file [[%s]]", strings.ToUpper(name), name)}
	}
	out := make([]T, len(entries))
	var problems []error
	for n, entry := range entries {
		for _, err := range decodeEntry(reflect.ValueOf(&out[n]).Elem(), entry) {
			problems = append(problems, fmt.Errorf("%s entry %d: %w", name, n+1, err))
		}
	}
	*to = out
	return problems
}

// tables makes one form of those that parsers have for a list of tables.
func tables(raw any) (out []map[string]any, ok bool) {
	text, isText := raw.(string)
	if !isText {
		b, err := json.Marshal(raw)
		if err != nil {
			return nil, false
		}
		text = string(b)
	}
	return out, unmarshal([]byte(text), &out) == nil
}

func decodeEntry(v reflect.Value, entry map[string]any) (problems []error) {
	t, known := v.Type(), map[string]int{}
	for n := range t.NumField() {
		known[t.Field(n).Tag.Get("cfg")] = n
	}
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		n, ok := known[strings.ToLower(key)]
		if !ok {
			problems = append(problems, fmt.Errorf("unknown key %s%s", key, meant(key, known)))
			continue
		}
		if err := decodeOne(v.Field(n), entry[key]); err != nil {
			problems = append(problems, fmt.Errorf("%s: not a %s", key, kindName(t.Field(n).Type)))
		}
	}
	return problems
}

// words divides texts at spaces, as scopes are written (RFC 6749 section 3.3).
func words(list []string) (out []string) {
	for _, s := range list {
		out = append(out, strings.Fields(s)...)
	}
	return out
}

// meant names the known key that a wrong one begins like, or that begins like it.
func meant(key string, known map[string]int) string {
	key = strings.ToLower(key)
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(key, k) || strings.HasPrefix(k, key) || strings.TrimSuffix(k, "_claim") == strings.TrimSuffix(key, "s") {
			return "; " + k + " is meant?"
		}
	}
	return "; known are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}
