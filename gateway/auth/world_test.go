package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
)

const (
	proxy  = "192.0.2.10:443" // believed
	anyone = "203.0.113.7:5555"
	gwURL  = "https://gw.test/whoami"
)

// world is a gateway with every method switched on, and the credentials that it
// knows.
type world struct {
	t     testing.TB
	dir   string
	chain *auth.Authenticator
	cfg   auth.Config

	rs, rs2, es, es384, ed, small, hs authtest.Key
	holder                            authtest.Key // of DPoP-bound tokens

	ca, otherCA             *authtest.CA
	client, revoked, denied *authtest.Leaf
}

// rsaKeys are made once for all worlds, because they take long: two good ones and
// one that is too short.
var rsaKeys = sync.OnceValue(func() [3]authtest.Key {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return [3]authtest.Key{
		authtest.NewKey("RS256", "rs"), authtest.NewKey("RS256", "rs2"), {Alg: "RS256", KID: "small", Private: short},
	}
})

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	slow := rsaKeys()
	w.rs, w.rs2, w.small = slow[0], slow[1], slow[2]
	w.es, w.es384, w.ed = authtest.NewKey("ES256", "es"), authtest.NewKey("ES384", "es384"), authtest.NewKey("EdDSA", "ed")
	w.hs, w.holder = authtest.NewKey("HS256", ""), authtest.NewKey("ES256", "")
	w.ca, w.otherCA = authtest.NewCA("Fake CA"), authtest.NewCA("Other Fake CA")
	w.client, w.revoked, w.denied = w.ca.Client("robot", nil), w.ca.Client("robot", nil), w.ca.Client("robot", nil)
	w.cfg = w.config()
	w.chain = open(t, w.cfg)
	return w
}

func (w *world) config() auth.Config {
	chain, key := w.ca.Server().PEM()
	keys := authtest.JWKS(w.rs, w.rs2, w.es, w.es384, w.ed, w.small)
	return auth.Config{
		DefaultPrefix: path(w.t, "mcp"), PublicURL: "https://gw.test", FailuresPerMinute: -1,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/32")},
		DenyListFile:   w.file("deny", w.denyList()),
		APIKeys: auth.APIKeys{
			Enabled: true, JSON: `{"fake-api-key-of-agent-api-000001":"agent_api","fake-api-key-of-a-denied-one-0002":"denied_key"}`,
			File: w.file("keys.yaml", []byte(keysFile)),
		},
		JWT: auth.JWT{
			Enabled: true, Secret: call.Secret(w.hs.Private.([]byte)), JWKSFile: w.file("jwks.json", keys),
			Issuers: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"}, ClockSkew: 30 * time.Second,
		},
		TLS: cert.Listener{
			CertFile: w.file("tls.crt", chain), KeyFile: w.file("tls.key", key), ClientAuth: "request",
			ClientCAFile: w.file("ca.crt", w.ca.PEM()), CRLFile: w.file("crl.pem", w.ca.CRL(time.Hour, w.revoked)),
		},
		MTLS:  auth.MTLS{Headers: true, Scopes: principal.AllScopes()},
		OAuth: auth.OAuth{Issuer: "https://issuer.test"},
		Log:   slog.New(slog.DiscardHandler),
	}
}

// keysFile has the hash of "fake-expired-api-key-00000000001".
const keysFile = `
keys:
  - id: expired
    hash: sha256:54518afef0f468408741effc73a32d38ab38621e330658144abee4de30110707
    subject: sleeper
    scopes: [read]
    expires: 2020-01-01T00:00:00Z
`

func (w *world) denyList() (out []byte) {
	for _, e := range []deny.Entry{
		{Subject: "banned"}, {KeyID: "denied_key"}, {TokenID: "denied-token"}, {Serial: w.denied.Cert.SerialNumber.Text(16)},
	} {
		line, err := json.Marshal(e)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

func (w *world) file(name string, data []byte) string {
	p := filepath.Join(w.dir, name)
	if err := os.WriteFile(p, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// get makes a request from a stranger's address, changed by changes.
func (w *world) get(changes ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest("GET", gwURL, nil)
	r.RemoteAddr, r.TLS = anyone, nil
	for _, change := range changes {
		change(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func bearer(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }

func bound(token, proof string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Add("DPoP", proof)
	}
}

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }

// with is a connection on which the client has shown a certificate.
func with(l *authtest.Leaf) func(*http.Request) {
	return func(r *http.Request) {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{l.Cert}}
	}
}

// good is a good token of the issuer, with claims changed.
func (w *world) good(more map[string]any) string { return w.es.Sign(authtest.Claims("bot", more)) }

// jkt is a token that is bound to the holder's key.
func (w *world) jkt() string {
	return w.good(map[string]any{"cnf": map[string]any{"jkt": w.holder.Print()}})
}
