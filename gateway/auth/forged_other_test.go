package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
)

func (w *world) proofs() []forged {
	token := w.jkt()
	proof := func(more map[string]any) *http.Request {
		return w.get(bound(token, w.holder.Proof("GET", gwURL, token, more)))
	}
	used := w.holder.Proof("GET", gwURL, token, nil)
	if _, err := w.chain.Authenticate(w.get(bound(token, used))); err != nil {
		w.t.Errorf("the first use of a proof: %v", err)
	}
	now := time.Now()
	rows := []forged{
		{"proof: missing", rule.Proof, w.get(header("Authorization", "DPoP "+token))},
		{"proof: two", rule.Proof, w.get(bound(token, w.holder.Proof("GET", gwURL, token, nil)), header("DPoP", "x"))},
		{"proof: not a token", rule.Proof, w.get(bound(token, "x"))},
		{"proof: replayed", rule.ProofReplay, w.get(bound(token, used))},
		{"proof: without jti", rule.ProofReplay, proof(map[string]any{"jti": ""})},
		{"proof: jti is a number", rule.ProofReplay, proof(map[string]any{"jti": 7})},
		{"proof: jti too long", rule.ProofReplay, proof(map[string]any{"jti": strings.Repeat("j", 300)})},
		{"proof: another method", rule.ProofMethod, proof(map[string]any{"htm": "POST"})},
		{"proof: method in lower case", rule.ProofMethod, proof(map[string]any{"htm": "get"})},
		{"proof: another path", rule.ProofURL, proof(map[string]any{"htu": "https://gw.test/secrets"})},
		{"proof: another host", rule.ProofURL, proof(map[string]any{"htu": "https://evil.test/whoami"})},
		{"proof: another scheme", rule.ProofURL, proof(map[string]any{"htu": "http://gw.test/whoami"})},
		{"proof: another port", rule.ProofURL, proof(map[string]any{"htu": "https://gw.test:8443/whoami"})},
		{"proof: user in the URL", rule.ProofURL, proof(map[string]any{"htu": "https://a@gw.test/whoami"})},
		{"proof: path alone", rule.ProofURL, proof(map[string]any{"htu": "/whoami"})},
		{"proof: for another token", rule.ProofToken, w.get(bound(token, w.holder.Proof("GET", gwURL, w.jkt(), nil)))},
		{"proof: for no token", rule.ProofToken, proof(map[string]any{"ath": nil})},
		{"proof: old", rule.ProofTime, proof(map[string]any{"iat": now.Add(-2 * time.Minute).Unix()})},
		{"proof: of the future", rule.ProofTime, proof(map[string]any{"iat": now.Add(time.Minute).Unix()})},
		{"proof: time is a string", rule.ProofTime, proof(map[string]any{"iat": "now"})},
		{"proof: another key", rule.KeyBound, w.get(bound(token, authtest.NewKey("ES256", "").Proof("GET", gwURL, token, nil)))},
		{"proof: signed by a secret", rule.Proof, w.get(bound(token, w.hs.Proof("GET", gwURL, token, nil)))},
	}
	return append(rows, w.proofHeaders(token)...)
}

// proofHeaders are proofs whose header is wrong.
func (w *world) proofHeaders(token string) (rows []forged) {
	for name, change := range map[string]map[string]any{
		"another type":        {"typ": "JWT"},
		"no key":              {"jwk": nil},
		"alg none":            {"alg": "none"},
		"a private key":       {"jwk": merged(w.holder.ProofHeader()["jwk"], "d", "AAAA")},
		"another key's":       {"jwk": authtest.NewKey("ES256", "").Public()},
		"a symmetric key":     {"jwk": map[string]any{"kty": "oct", "k": "AAAA"}},
		"an address of a key": {"jku": "https://attacker.test/jwks.json"},
	} {
		h := w.holder.ProofHeader()
		maps.Copy(h, change)
		maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
		rows = append(rows, forged{"proof: " + name, rule.Proof, w.get(bound(token, w.holder.SignWith(h, map[string]any{"htm": "GET", "htu": gwURL})))})
	}
	return rows
}

func merged(m any, name string, v any) map[string]any {
	out := maps.Clone(m.(map[string]any))
	out[name] = v
	return out
}

func (w *world) apiKeys() (rows []forged) {
	for name, key := range map[string]string{
		"unknown": "nobody-has-this-key-0000000000", "blank": " ", "empty": "", "in another case": "FAKE-API-KEY-OF-AGENT-API-000001",
		"longer": "fake-api-key-of-agent-api-000001x", "shorter": "fake-api-key-of-agent-api-00000", "with a space": " fake-api-key-of-agent-api-000001",
		"the subject": "agent_api", "the hash": "sha256:0000", "huge": strings.Repeat("k", 20000),
	} {
		rows = append(rows, forged{"key: " + name, rule.UnknownKey, w.get(header("X-API-Key", key))})
	}
	return append(rows, forged{"key: expired", rule.ExpiredKey, w.get(header("X-API-Key", "fake-expired-api-key-00000000001"))})
}

func (w *world) certificates() (rows []forged) {
	row := func(name string, r rule.Rule, l *authtest.Leaf) {
		rows = append(rows, forged{"cert: " + name, r, w.get(with(l))})
	}
	named := func(cn string) *authtest.Leaf { return w.ca.Client(cn, nil) }
	row("of another CA", rule.CertChain, w.otherCA.Client("robot", nil))
	row("of a CA with our CA's name", rule.CertChain, authtest.NewCA("Fake CA").Client("robot", nil))
	row("expired", rule.CertTime, w.ca.Client("robot", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	row("not yet valid", rule.CertTime, w.ca.Client("robot", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }))
	row("revoked", rule.CertRevoked, w.revoked)
	row("for servers", rule.CertChain, w.ca.Server())
	row("no name", rule.CertName, named(""))
	row("two names", rule.CertName, w.ca.Client("robot", func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "robot"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "victim"},
		}
	}))
	for _, cn := range []string{"../victim", "robot,CN=victim", "a/b", "a b", "*.test", "a..b"} {
		row(fmt.Sprintf("named %q", cn), rule.UnsafeName, named(cn))
	}
	return rows
}

// spoofs are headers about certificates from somebody who is no proxy: they are
// not there, so nothing was presented.
func (w *world) spoofs() (rows []forged) {
	for name, req := range map[string]*http.Request{
		"identity alone":      w.get(header("X-SSL-Client-S-DN", "CN=victim")),
		"identity and verify": w.get(header("X-SSL-Client-S-DN", "CN=victim"), header("X-SSL-Client-Verify", "SUCCESS")),
		"client-dn":           w.get(header("client-dn", "CN=victim")),
		"client-dn, verified": w.get(header("client-dn", "CN=victim"), header("x-ssl-client-verify", "SUCCESS")),
		"certificate":         w.get(header("X-SSL-Client-Cert", "MIIB"), header("X-SSL-Client-Verify", "SUCCESS")),
		"Envoy's":             w.get(header("X-Forwarded-Client-Cert", "Subject=\"CN=victim\"")),
		"RFC 9440's":          w.get(header("Client-Cert", ":MIIB:")),
		"and a proxy's hop":   w.get(header("X-SSL-Client-S-DN", "CN=victim"), header("X-SSL-Client-Verify", "SUCCESS"), header("X-Forwarded-For", "192.0.2.10")),
		"client-dn by proxy":  w.get(from(proxy), header("client-dn", "CN=victim"), header("x-ssl-client-verify", "NONE")),
		"proxy's own cert":    w.get(from(proxy), with(w.client)),
	} {
		rows = append(rows, forged{"spoof: " + name, rule.NoCredential, req})
	}
	return rows
}

// reports are what a proxy of ours may say and must not be believed about.
func (w *world) reports() (rows []forged) {
	row := func(name string, r rule.Rule, dn string, verify ...string) {
		req := w.get(from(proxy), header("X-SSL-Client-S-DN", dn))
		for _, v := range verify {
			req.Header.Add("X-SSL-Client-Verify", v)
		}
		rows = append(rows, forged{"proxy: " + name, r, req})
	}
	row("verify missing", rule.CertVerify, "CN=robot")
	row("verify failed", rule.CertVerify, "CN=robot", "FAILED:certificate has expired")
	row("verify none", rule.CertVerify, "CN=robot", "NONE")
	row("verify longer", rule.CertVerify, "CN=robot", "SUCCESS;FAILED")
	row("verify twice", rule.CertVerify, "CN=robot", "SUCCESS", "SUCCESS")
	row("no name", rule.DN, "", "SUCCESS")
	row("no common name", rule.CertName, "O=x,OU=y", "SUCCESS")
	row("two common names", rule.CertName, "CN=robot,CN=victim", "SUCCESS")
	row("two in one RDN", rule.CertName, "CN=robot+CN=victim", "SUCCESS")
	row("escaped comma", rule.UnsafeName, `CN=robot\,O=x,O=y`, "SUCCESS")
	row("escaped comma in hex", rule.UnsafeName, `CN=robot\2cO=x`, "SUCCESS")
	row("quoted", rule.DN, `CN="robot,O=x"`, "SUCCESS")
	row("slashes", rule.DN, "/O=x/CN=robot", "SUCCESS")
	row("hex value", rule.DN, "CN=#0c05726f626f74", "SUCCESS")
	row("bad escape", rule.DN, `CN=robot\`, "SUCCESS")
	row("ends in a comma", rule.DN, "CN=robot,", "SUCCESS")
	row("traversal", rule.UnsafeName, "CN=../victim", "SUCCESS")
	rows = append(rows, forged{"proxy: name twice", rule.CertVerify, w.get(from(proxy), header("X-SSL-Client-S-DN", "CN=a"), header("X-SSL-Client-S-DN", "CN=b"), header("X-SSL-Client-Verify", "SUCCESS"))})
	return rows
}

// mixtures present one bad credential beside a good one.
func (w *world) mixtures() []forged {
	key := header("X-API-Key", "fake-api-key-of-agent-api-000001")
	report := func(r *http.Request) {
		r.RemoteAddr = proxy
		r.Header.Set("X-SSL-Client-S-DN", "CN=robot")
		r.Header.Set("X-SSL-Client-Verify", "SUCCESS")
	}
	return []forged{
		{"mixed: key and token", rule.Ambiguous, w.get(key, bearer(w.good(nil)))},
		{"mixed: key and bad token", rule.Ambiguous, w.get(key, bearer("x"))},
		{"mixed: two tokens", rule.Ambiguous, w.get(bearer(w.good(nil)), bearer(w.good(nil)))},
		{"mixed: two keys", rule.Ambiguous, w.get(key, key)},
		{"mixed: bad key, good certificate", rule.UnknownKey, w.get(header("X-API-Key", "wrong-wrong-wrong-wrong-wrong"), with(w.client))},
		{"mixed: a bearer that is nothing, good certificate", rule.UnknownKey, w.get(bearer("x"), with(w.client))},
		{"mixed: bad token, good certificate", rule.Compact, w.get(bearer("x.y.z"), with(w.client))},
		{"mixed: bad token, good report", rule.Compact, w.get(bearer("eyJ.x"), report)},
		{"mixed: empty key, good certificate", rule.UnknownKey, w.get(header("X-API-Key", ""), with(w.client))},
		{"mixed: a bearer that is nothing, good report", rule.UnknownKey, w.get(bearer("x"), report)},
		{"mixed: good key, revoked certificate", rule.CertRevoked, w.get(key, with(w.revoked))},
		{"mixed: good token, foreign certificate", rule.CertChain, w.get(bearer(w.good(nil)), with(w.otherCA.Client("robot", nil)))},
		{"mixed: good key, failed report", rule.CertVerify, w.get(key, from(proxy), header("X-SSL-Client-Verify", "FAILED:x"))},
		{"nothing", rule.NoCredential, w.get()},
		{"token in the query", rule.NoCredential, w.get(func(r *http.Request) { r.URL.RawQuery = "access_token=" + w.good(nil) })},
		{"token in a cookie", rule.NoCredential, w.get(header("Cookie", "access_token="+w.good(nil)))},
		{"Vault token", rule.NoCredential, w.get(header("X-Vault-Token", "root"))},
		{"subject in a header", rule.NoCredential, w.get(header("X-Subject", "victim"), header("X-Forwarded-User", "victim"))},
	}
}

func (w *world) deniedOnes() []forged {
	return []forged{
		{"denied: subject", rule.Denied, w.get(bearer(w.good(map[string]any{"sub": "banned"})))},
		{"denied: actor", rule.Denied, w.get(bearer(w.good(map[string]any{"act": map[string]any{"sub": "banned"}})))},
		{"denied: token", rule.Denied, w.get(bearer(w.good(map[string]any{"jti": "denied-token"})))},
		{"denied: key", rule.Denied, w.get(header("X-API-Key", "fake-api-key-of-a-denied-one-0002"))},
		{"denied: certificate", rule.Denied, w.get(with(w.denied))},
		{"denied: certificate beside a token", rule.Denied, w.get(bearer(w.good(nil)), with(w.denied))},
	}
}
