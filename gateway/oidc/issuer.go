package oidc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/files"
)

// Audience is aud of every assertion: what is signed is for Vault alone.
const Audience = "vault"

// Life is how long an assertion is good: it is used at once.
const Life = time.Minute

// skew is how far back an assertion begins, for clocks that are not the same.
const skew = 30 * time.Second

// Issuer signs assertions. It is safe for concurrent use.
type Issuer struct {
	url  string
	file string

	mu      sync.Mutex  // guards the fields below
	keys    []key       // the first signs, all are published
	read    files.Stamp // of the file when it was read
	checked time.Time
}

// New makes an issuer of a URL. The file holds its keys in PEM: the first signs, and
// those behind it are published, so that keys can be rotated. It is read again when it
// changes. Without a file a key is made that lives as long as the process.
func New(url, file string) (*Issuer, error) {
	i := &Issuer{url: url, file: file}
	if file == "" {
		k, err := generate()
		i.keys = []key{k}
		return i, err
	}
	if err := i.load(); err != nil {
		return nil, err
	}
	return i, nil
}

// load reads the file. The caller holds mu, or is the only one.
func (i *Issuer) load() error {
	info, err := os.Stat(i.file)
	if err != nil {
		return fmt.Errorf("OIDC_ISSUER_KEY_FILE: %w", err)
	}
	if i.checked = time.Now(); files.StampOf(info) == i.read {
		return nil
	}
	text, err := files.Read(i.file)
	if err != nil {
		return fmt.Errorf("OIDC_ISSUER_KEY_FILE: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return fmt.Errorf("OIDC_ISSUER_KEY_FILE: %s: %w", i.file, err)
	}
	i.keys, i.read = keys, files.StampOf(info)
	return nil
}

// checkEvery is how often the file is looked at.
const checkEvery = time.Second

// current are the keys of now. A file that cannot be read any more leaves the last ones.
func (i *Issuer) current() []key {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file != "" && time.Since(i.checked) >= checkEvery {
		_ = i.load()
	}
	return i.keys
}

// ClaimMark begins the names of a caller's own claims in an assertion, so that none is
// taken for what the gateway says itself.
const ClaimMark = "claim_"

// Own is the subject of the gateway itself. No caller's has a slash at its end.
const Own = "gateway/"

// Assert signs who a caller is, for one role in Vault; nil is the gateway itself. Claims
// are the caller's own that Vault is to know. Each is a claim of its own behind ClaimMark,
// and one that the caller does not have is left out, which Vault's claim_mappings take.
func (i *Issuer) Assert(c *call.Caller, claims map[string]string, target string) (call.Secret, error) {
	now := time.Now()
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	body := map[string]any{
		"iss": i.url, "sub": Own, "aud": Audience, "jti": encode(id[:]),
		"exp": now.Add(Life).Unix(), "iat": now.Unix(), "nbf": now.Add(-skew).Unix(),
		"target": target, // the role in Vault that it is for
		"roles":  []string{},
	}
	if c != nil {
		body["sub"], body["subject"], body["tenant"], body["kind"] = subjectOf(c, claims), c.Subject, c.Tenant, c.Kind
		body["prefix"] = c.Prefix.String() // where the caller's own secrets live
		body["roles"] = append([]string{}, c.Roles...)
	}
	for name, value := range claims {
		body[ClaimMark+name] = value
	}
	return sign(i.current()[0], body)
}

// subjectOf names a caller to Vault, which takes names of entities for equal that differ
// in upper and lower case alone (Vault docs, concepts/identity). What lower case would
// lose is behind a further slash, which no caller's key has, as a hash. So are claims:
// Vault keeps them with the entity and not with a token, so with one entity the claims of
// a caller's last login would hold for all its tokens.
func subjectOf(c *call.Caller, claims map[string]string) string {
	key := c.Key()
	if strings.ToLower(key) == key && len(claims) == 0 {
		return key
	}
	sum := sha256.New()
	sum.Write([]byte(key))
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		fmt.Fprintf(sum, "\x00%s=%s", name, claims[name]) // neither has a NUL, and a name has no =
	}
	return key + "/" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// sign makes a JWT (RFC 7519) in the compact form of a JWS (RFC 7515 section 7.1).
func sign(k key, body map[string]any) (call.Secret, error) {
	header, err := json.Marshal(map[string]string{"alg": k.alg, "kid": k.id, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	text := encode(header) + "." + encode(payload)
	signature, err := k.sign(text)
	return call.Secret(text + "." + encode(signature)), err
}

// Keys are the public keys in PEM, for a Vault that is told them (jwt_validation_pubkeys).
func (i *Issuer) Keys() (out []string, err error) {
	for _, k := range i.current() {
		text, err := k.pem()
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// ServeJWKS publishes the public keys (RFC 7517 section 5).
func (i *Issuer) ServeJWKS(w http.ResponseWriter, _ *http.Request) {
	keys := []map[string]string{}
	for _, k := range i.current() {
		keys = append(keys, k.public())
	}
	answer(w, map[string]any{"keys": keys})
}

// ServeDiscovery publishes where the keys are (OpenID Connect Discovery section 3).
func (i *Issuer) ServeDiscovery(w http.ResponseWriter, _ *http.Request) {
	algorithms := map[string]bool{}
	for _, k := range i.current() {
		algorithms[k.alg] = true
	}
	var list []string
	for _, a := range []string{"RS256", "ES256", "EdDSA"} {
		if algorithms[a] {
			list = append(list, a)
		}
	}
	answer(w, map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/oidc/jwks", "response_types_supported": []string{"id_token"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": list,
	})
}

func answer(w http.ResponseWriter, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(raw) // the reader is gone when this fails
}
