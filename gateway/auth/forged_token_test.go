package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
)

var b64 = base64.RawURLEncoding

func fingerprint(l *authtest.Leaf) string {
	sum := sha256.Sum256(l.Cert.Raw)
	return b64.EncodeToString(sum[:])
}

// headed is a token of k whose header is changed; a nil value removes a parameter.
func headed(k authtest.Key, more map[string]any) string {
	h := map[string]any{"alg": k.Alg, "kid": k.KID}
	maps.Copy(h, more)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	return k.SignWith(h, authtest.Claims("bot", nil))
}

func claims(more map[string]any) string {
	b, err := json.Marshal(authtest.Claims("bot", more))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (w *world) tokens(r rule.Rule, named map[string]string) (rows []forged) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		rows = append(rows, forged{name, r, w.get(bearer(named[name]))})
	}
	return rows
}

func (w *world) schemes() (rows []forged) {
	good := w.good(nil)
	for name, v := range map[string]string{
		"Basic": "Basic dXNlcjpwYXNz", "another scheme": "Token " + good, "no scheme": good, "no token": "Bearer", "empty": "",
		"blank token": "Bearer ", "two spaces": "Bearer  " + good, "two tokens": "Bearer " + good + " " + good,
		"a list": "Bearer " + good + ", Bearer " + good, "a tab": "Bearer\t" + good,
	} {
		rows = append(rows, forged{"scheme: " + name, rule.Scheme, w.get(header("Authorization", v))})
	}
	return rows
}

func (w *world) algorithms() (rows []forged) {
	none := map[string]string{}
	for _, alg := range []any{"none", "None", "NONE", "nOnE", " none", "", "ES256K", "RS1", "HS1", "RSA-OAEP", "dir", "es256", "ES256 ", "Ed448"} {
		none[fmt.Sprintf("alg: %q", alg)] = headed(w.es, map[string]any{"alg": alg})
	}
	none["alg: missing"] = headed(w.es, map[string]any{"alg": nil})
	rows = append(rows, w.tokens(rule.Algorithm, none)...)
	rows = append(rows, w.tokens(rule.Compact, map[string]string{
		"alg: none without signature": b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + b64.EncodeToString([]byte(claims(nil))) + ".",
	})...)
	rows = append(rows, w.tokens(rule.Signature, map[string]string{
		"confusion: HS256 with the RSA key in PEM": w.confused(w.rs, pemOf(w.rs), "HS256"),
		"confusion: HS256 with the RSA key in DER": w.confused(w.rs, derOf(w.rs), "HS256"),
		"confusion: HS256 with the JWK":            w.confused(w.rs, jwkOf(w.rs), "HS256"),
		"confusion: HS256 with an empty secret":    w.confused(w.rs, nil, "HS256"),
		"confusion: HS512 with the EC key":         w.confused(w.es, pemOf(w.es), "HS512"),
		"confusion: RS256 signed with the secret":  w.confused(w.rs, w.hs.Private.([]byte), "RS256"),
		"confusion: ES256 signed with the secret":  w.confused(w.es, w.hs.Private.([]byte), "ES256"),
		"confusion: EdDSA signed with the secret":  w.confused(w.ed, w.hs.Private.([]byte), "EdDSA"),
		"another key under a known id":             authtest.Key{Alg: "ES256", KID: "es", Private: w.holder.Private}.Sign(authtest.Claims("bot", nil)),
		"another HMAC secret":                      authtest.NewKey("HS256", "").Sign(authtest.Claims("bot", nil)),
	})...)
	return append(rows, w.tokens(rule.KeyMismatch, map[string]string{
		"family: ES256 with an RSA key's id":    headed(w.es, map[string]any{"kid": "rs"}),
		"family: RS256 with an EC key's id":     headed(w.rs, map[string]any{"kid": "es"}),
		"family: EdDSA with an EC key's id":     headed(w.ed, map[string]any{"kid": "es"}),
		"algorithm: PS256 with a key for RS256": headed(w.rs, map[string]any{"alg": "PS256"}),
		"algorithm: RS512 with a key for RS256": headed(w.rs, map[string]any{"alg": "RS512"}),
		"curve: ES256 with a P-384 key":         headed(w.es, map[string]any{"kid": "es384"}),
		"curve: ES512 with a P-256 key":         headed(w.es, map[string]any{"alg": "ES512"}),
		"small RSA key":                         headed(w.small, nil),
	})...)
}

// confused is a token with k's id, signed by HMAC with a secret that is none.
func (w *world) confused(k authtest.Key, secret []byte, alg string) string {
	head := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, k.KID)
	s := b64.EncodeToString([]byte(head)) + "." + b64.EncodeToString([]byte(claims(nil)))
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(s))
	return s + "." + b64.EncodeToString(m.Sum(nil))
}

func derOf(k authtest.Key) []byte {
	signer, ok := k.Private.(crypto.Signer)
	if !ok {
		panic("not a signer")
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		panic(err)
	}
	return der
}

func pemOf(k authtest.Key) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derOf(k)})
}

func jwkOf(k authtest.Key) []byte {
	b, err := json.Marshal(k.Public())
	if err != nil {
		panic(err)
	}
	return b
}

func (w *world) keyIDs() []forged {
	named := map[string]string{"kid: missing where two keys fit": headed(w.rs, map[string]any{"kid": nil})}
	for _, kid := range []string{
		"", "unknown", "RS", "rs ", "rs\x00", "../../../dev/null", "file:///dev/null", "x' UNION SELECT 'secret", "rs|id", "${jndi:ldap://x}", strings.Repeat("k", 257),
	} {
		named[fmt.Sprintf("kid: %.24q", kid)] = headed(w.rs, map[string]any{"kid": kid})
	}
	rows := w.tokens(rule.KeyID, named)
	return append(rows, w.tokens(rule.HeaderJSON, map[string]string{
		"kid: a number": headed(w.rs, map[string]any{"kid": 7}),
		"kid: a list":   headed(w.rs, map[string]any{"kid": []string{"rs"}}),
		"kid: null":     w.rs.SignText(`{"alg":"RS256","kid":null}`, claims(nil)),
	})...)
}

func (w *world) headers() []forged {
	attacker := authtest.NewKey("ES256", "es")
	rows := w.tokens(rule.Embedded, map[string]string{
		"embedded jwk":  headed(attacker, map[string]any{"jwk": attacker.Public()}),
		"embedded jku":  headed(attacker, map[string]any{"jku": "https://attacker.test/jwks.json"}),
		"embedded x5u":  headed(attacker, map[string]any{"x5u": "https://attacker.test/x.pem"}),
		"embedded x5c":  headed(attacker, map[string]any{"x5c": []string{"MIIB"}}),
		"embedded null": w.es.SignText(`{"alg":"ES256","kid":"es","jwk":null}`, claims(nil)),
	})
	rows = append(rows, w.tokens(rule.Critical, map[string]string{
		"crit": headed(w.es, map[string]any{"crit": []string{"exp"}}),
		"b64":  headed(w.es, map[string]any{"b64": false}),
		"zip":  headed(w.es, map[string]any{"zip": "DEF"}),
		"JWE":  headed(w.es, map[string]any{"enc": "A256GCM"}),
	})...)
	rows = append(rows, w.tokens(rule.Type, map[string]string{
		"type: proof":        headed(w.es, map[string]any{"typ": "dpop+jwt"}),
		"type: logout token": headed(w.es, map[string]any{"typ": "logout+jwt"}),
		"type: event":        headed(w.es, map[string]any{"typ": "secevent+jwt"}),
	})...)
	return append(rows, w.tokens(rule.HeaderJSON, map[string]string{
		"header: alg twice":      w.es.SignText(`{"alg":"none","alg":"ES256","kid":"es"}`, claims(nil)),
		"header: not an object":  w.es.SignText(`["ES256"]`, claims(nil)),
		"header: null":           w.es.SignText(`null`, claims(nil)),
		"header: alg is a list":  w.es.SignText(`{"alg":["ES256"],"kid":"es"}`, claims(nil)),
		"header: not UTF-8":      w.es.SignText("{\"alg\":\"ES256\",\"kid\":\"es\xff\"}", claims(nil)),
		"header: something more": w.es.SignText(`{"alg":"ES256","kid":"es"}{}`, claims(nil)),
	})...)
}

func (w *world) shapes() []forged {
	good := w.good(nil)
	h, p, s := authtest.Parts(good)
	rows := w.tokens(rule.Compact, map[string]string{
		"shape: in quotes":       `"` + good + `"`,
		"shape: a parameter":     "token=" + good + ";x",
		"shape: a line break":    good[:9] + "\r\n" + good[9:],
		"shape: two parts":       h + "." + p,
		"shape: four parts":      good + ".",
		"shape: five parts":      good + "." + h + "." + s,
		"shape: dots":            "..",
		"shape: padding":         h + "." + p + "." + s + "==",
		"shape: standard base64": h + "." + p + "." + "+" + s[1:],
		"shape: loose bits":      h + "." + p + "." + loose(s),
		"shape: no signature":    h + "." + p + ".",
		"shape: no payload":      h + ".." + s,
	})
	rows = append(rows, w.tokens(rule.TooLarge, map[string]string{
		"size: a large claim":     w.good(map[string]any{"x": strings.Repeat("x", 65<<10)}),
		"size: a large signature": h + "." + p + "." + strings.Repeat("A", 65<<10),
	})...)
	return append(rows, w.tokens(rule.PayloadJSON, map[string]string{
		"payload: sub twice":      w.es.SignText(`{"alg":"ES256","kid":"es"}`, strings.Replace(claims(nil), "{", `{"sub":"victim",`, 1)),
		"payload: nested twice":   w.es.SignText(`{"alg":"ES256","kid":"es"}`, strings.Replace(claims(nil), "{", `{"act":{"sub":"a","sub":"b"},`, 1)),
		"payload: exp twice":      w.es.SignText(`{"alg":"ES256","kid":"es"}`, strings.Replace(claims(nil), "{", `{"exp":9999999999,`, 1)),
		"payload: a list":         w.es.SignText(`{"alg":"ES256","kid":"es"}`, `[]`),
		"payload: null":           w.es.SignText(`{"alg":"ES256","kid":"es"}`, `null`),
		"payload: not JSON":       w.es.SignText(`{"alg":"ES256","kid":"es"}`, `sub=bot`),
		"payload: BOM":            w.es.SignText(`{"alg":"ES256","kid":"es"}`, "\ufeff"+claims(nil)),
		"payload: something more": w.es.SignText(`{"alg":"ES256","kid":"es"}`, claims(nil)+"{}"),
		"payload: NaN":            w.es.SignText(`{"alg":"ES256","kid":"es"}`, `{"exp":NaN}`),
	})...)
}

// loose is another text for the same bytes: the last character's unused bits.
func loose(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last|1])
}

func (w *world) signatures() []forged {
	good := w.good(nil)
	h, p, s := authtest.Parts(good)
	_, p2, s2 := authtest.Parts(w.good(map[string]any{"sub": "victim"}))
	return w.tokens(rule.Signature, map[string]string{
		"signature: truncated":         h + "." + p + "." + b64.EncodeToString(raw(s)[:63]),
		"signature: one byte":          h + "." + p + ".AA",
		"signature: longer":            h + "." + p + "." + b64.EncodeToString(append(raw(s), 0)),
		"signature: of another token":  h + "." + p + "." + s2,
		"signature: payload exchanged": h + "." + p2 + "." + s,
		"signature: zeros":             h + "." + p + "." + b64.EncodeToString(make([]byte, 64)),
		"signature: DER":               h + "." + p + "." + b64.EncodeToString(w.der(h+"."+p)),
		"signature: header exchanged":  b64.EncodeToString([]byte(`{"kid":"es","alg":"ES256"}`)) + "." + p + "." + s,
	})
}

func raw(s string) []byte {
	b, err := b64.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// der is a right signature in the form that JWS does not use.
func (w *world) der(signed string) []byte {
	sum := sha256.Sum256([]byte(signed))
	sig, err := ecdsa.SignASN1(rand.Reader, w.es.Private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		panic(err)
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &parts); err != nil || bytes.Equal(sig, make([]byte, 64)) {
		panic(err)
	}
	return sig
}

func (w *world) dates() (rows []forged) {
	now := time.Now()
	row := func(name string, r rule.Rule, more map[string]any) {
		rows = append(rows, forged{name, r, w.get(bearer(w.good(more)))})
	}
	row("exp: an hour ago", rule.Expired, map[string]any{"exp": now.Add(-time.Hour).Unix()})
	row("exp: beyond the skew", rule.Expired, map[string]any{"exp": now.Add(-32 * time.Second).Unix()})
	row("exp: 1970", rule.Expired, map[string]any{"exp": 1})
	row("exp: missing", rule.NoExpiry, map[string]any{"exp": nil})
	row("exp: a string", rule.ClaimType, map[string]any{"exp": fmt.Sprint(now.Add(time.Hour).Unix())})
	row("exp: true", rule.ClaimType, map[string]any{"exp": true})
	row("exp: beyond all time", rule.ClaimType, map[string]any{"exp": 1e300})
	row("exp: in milliseconds", rule.ClaimType, map[string]any{"exp": now.Add(time.Hour).UnixMilli()})
	row("exp: negative", rule.ClaimType, map[string]any{"exp": -1})
	row("nbf: in an hour", rule.NotYet, map[string]any{"nbf": now.Add(time.Hour).Unix()})
	row("nbf: a string", rule.ClaimType, map[string]any{"nbf": "0"})
	row("iat: in an hour", rule.IssuedLater, map[string]any{"iat": now.Add(time.Hour).Unix()})
	row("iat: a list", rule.ClaimType, map[string]any{"iat": []int{1}})
	return rows
}

func (w *world) names() (rows []forged) {
	for name, iss := range map[string]any{
		"missing": nil, "another": "evil-auth", "in another case": "MCP-AUTH", "with a slash": "mcp-auth/", "a list": []string{"mcp-auth"}, "empty": "",
	} {
		rows = append(rows, forged{"iss: " + name, rule.Issuer, w.get(bearer(w.good(map[string]any{"iss": iss})))})
	}
	for name, aud := range map[string]any{
		"missing": nil, "another": "other-service", "longer": "mcp-agents-evil", "shorter": "mcp", "in another case": "MCP-Agents", "with a space": "mcp-agents ",
		"two in one": "other mcp-agents", "a list without us": []string{"a", "b"}, "an empty list": []string{}, "a nested list": []any{[]string{"mcp-agents"}},
		"an object": map[string]any{"mcp-agents": true}, "a list with a number": []any{"mcp-agents", 7}, "a number": 1, "empty": "",
		"another gateway's address": "https://gw.test.evil.example/mcp",
	} {
		rows = append(rows, forged{"aud: " + name, rule.Audience, w.get(bearer(w.good(map[string]any{"aud": aud})))})
	}
	return rows
}

func (w *world) subjects() (rows []forged) {
	rows = append(rows, w.tokens(rule.NoSubject, map[string]string{
		"sub: missing": w.good(map[string]any{"sub": nil}), "sub: empty": w.good(map[string]any{"sub": ""}),
	})...)
	return append(rows, w.tokens(rule.ClaimType, map[string]string{
		"sub: a number": w.good(map[string]any{"sub": 7}), "sub: a list": w.good(map[string]any{"sub": []string{"bot"}}),
	})...)
}

func (w *world) lists() (rows []forged) {
	deep := map[string]any{"sub": "a"}
	for range 20 {
		deep = map[string]any{"sub": "a", "act": deep}
	}
	for _, r := range []struct {
		name  string
		rule  rule.Rule
		claim string
		value any
	}{
		{"roles: an object", rule.ClaimType, "roles", map[string]any{"admin": true}},
		{"roles: numbers", rule.ClaimType, "roles", []int{0}},
		{"roles: too many", rule.TooMany, "roles", numbered(2049)},
		{"scope: a quote", rule.BadScope, "scope", `read "write`},
		{"scope: two spaces", rule.BadScope, "scope", "read  write"},
		{"scope: a number", rule.ClaimType, "scope", 15},
		{"scopes: words in a list", rule.BadScope, "scopes", []string{"read write"}},
		{"scopes: null in a list", rule.ClaimType, "scopes", []any{nil}},
		{"act: a string", rule.BadActor, "act", "admin"},
		{"act: without sub", rule.BadActor, "act", map[string]any{"client_id": "x"}},
		{"act: empty", rule.BadActor, "act", map[string]any{"sub": ""}},
		{"act: empty further down", rule.BadActor, "act", map[string]any{"sub": "a", "act": map[string]any{"sub": ""}}},
		{"act: too long a chain", rule.BadActor, "act", deep},
		{"jti: a number", rule.ClaimType, "jti", 7},
	} {
		rows = append(rows, forged{r.name, r.rule, w.get(bearer(w.good(map[string]any{r.claim: r.value})))})
	}
	return rows
}

func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("r", i))
	}
	return out
}

func (w *world) confirmations() []forged {
	cnf := func(v any) string { return w.good(map[string]any{"cnf": v}) }
	x5t := cnf(map[string]any{"x5t#S256": fingerprint(w.client)})
	rows := w.tokens(rule.Confirmation, map[string]string{
		"cnf: a string":     cnf("key"),
		"cnf: empty":        cnf(map[string]any{}),
		"cnf: kid":          cnf(map[string]any{"kid": "x"}),
		"cnf: jwk":          cnf(map[string]any{"jwk": w.holder.Public()}),
		"cnf: jkt and more": cnf(map[string]any{"jkt": w.holder.Print(), "osc": "x"}),
		"cnf: jkt null":     cnf(map[string]any{"jkt": nil}),
	})
	return append(rows,
		forged{"cnf: certificate missing", rule.CertBound, w.get(bearer(x5t))},
		forged{"cnf: another certificate", rule.CertBound, w.get(bearer(x5t), with(w.ca.Client("robot", nil)))},
		forged{"cnf: certificate in a header", rule.CertBound, w.get(bearer(x5t), from(proxy), header("X-SSL-Client-S-DN", "CN=robot"), header("X-SSL-Client-Verify", "SUCCESS"))},
		forged{"cnf: jkt as a bearer token", rule.KeyBound, w.get(bearer(w.jkt()))},
		forged{"cnf: unbound token as DPoP", rule.Unbound, w.get(bound(w.good(nil), w.holder.Proof("GET", gwURL, w.good(nil), nil)))},
	)
}
