package vaultapi_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
)

// noAnswer stands for the status of what ends with the handshake.
const noAnswer = 0

// certWorld asks every client for a certificate of a CA.
func certWorld(t *testing.T, ca *authtest.CA, revoked *authtest.Leaf) *world {
	t.Helper()
	dir := t.TempDir()
	chain, key := ca.Server().PEM()
	for name, data := range map[string][]byte{"chain.pem": chain, "key.pem": key, "ca.pem": ca.PEM(), "crl.pem": ca.CRL(time.Hour, revoked), "deny": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := smallWorld(t, map[string]string{
		"TLS_CERT_FILE": filepath.Join(dir, "chain.pem"), "TLS_KEY_FILE": filepath.Join(dir, "key.pem"), "TLS_CLIENT_CA_FILE": filepath.Join(dir, "ca.pem"),
		"TLS_CRL_FILE": filepath.Join(dir, "crl.pem"), "TLS_CLIENT_AUTH": "request", "DENY_LIST_FILE": filepath.Join(dir, "deny"),
	})
	w.http = holding(t, ca, nil)
	return w
}

// holding is a client that shows a certificate whoever asks for it, or none.
func holding(t *testing.T, ca *authtest.CA, l *authtest.Leaf) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	if l != nil {
		pair := l.TLS()
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// with is the world as somebody with a certificate reaches it.
func (w *world) with(t *testing.T, ca *authtest.CA, l *authtest.Leaf) *world {
	t.Helper()
	other := *w
	other.http = holding(t, ca, l)
	return &other
}

// A client certificate begins a session of its subject, which needs the same certificate
// again. One that is not good begins none, and neither does what a client says of itself.
func TestCertificateLogins(t *testing.T) {
	ca, other := authtest.NewCA("clients"), authtest.NewCA("clients")
	listed := ca.Client("machine", nil)
	w := certWorld(t, ca, listed)
	machine, bot := w.with(t, ca, ca.Client("machine", nil)), w.with(t, ca, ca.Client("bot", nil))
	in := machine.send(t, "PUT", "auth/cert/login", "", `{"name":"any"}`)
	auth, _ := in.body["auth"].(map[string]any)
	session := fmt.Sprint(auth["client_token"])
	if in.status != 200 || !strings.HasPrefix(session, "pcs.") || fmt.Sprint(auth["metadata"]) != "map[subject:machine tenant:]" {
		t.Fatalf("got %d %v", in.status, in.body)
	}
	for name, tc := range map[string]struct {
		as     *world
		path   string
		status int
	}{
		"its holder's own":          {machine, "secret/data/mcp/machine/cert", 200},
		"another's":                 {machine, "secret/data/mcp/bot/cert", 403},
		"without the certificate":   {w, "secret/data/mcp/machine/cert", 403},
		"with another's":            {bot, "secret/data/mcp/machine/cert", 403},
		"with another of its name":  {w.with(t, ca, ca.Client("machine", nil)), "secret/data/mcp/machine/cert", 403},
		"with one of another CA":    {w.with(t, ca, other.Client("machine", nil)), "secret/data/mcp/machine/cert", noAnswer},
		"with one that was revoked": {w.with(t, ca, listed), "secret/data/mcp/machine/cert", noAnswer},
	} {
		if a, err := tc.as.try(t, "PUT", tc.path, session, `{"data":{"a":"b"}}`); a.status != tc.status || (err != nil) != (tc.status == noAnswer) {
			t.Errorf("%s: got %d %v, want %d", name, a.status, a.body, tc.status)
		}
	}
	for name, tc := range map[string]struct {
		leaf    *authtest.Leaf
		headers []string
		status  int
	}{
		"none":                  {nil, nil, 403},
		"none but a name":       {nil, []string{"X-SSL-Client-S-DN: CN=machine", "X-SSL-Client-Verify: SUCCESS"}, 403},
		"of another CA":         {other.Client("machine", nil), nil, noAnswer},
		"revoked":               {listed, nil, noAnswer},
		"ended":                 {ca.Client("machine", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil, noAnswer},
		"of a server":           {ca.Server(), nil, noAnswer},
		"a name that is a path": {ca.Client("../bot", nil), nil, 403},
	} {
		a, err := w.with(t, ca, tc.leaf).try(t, "PUT", "auth/cert/login", "", `{}`, tc.headers...)
		if a.status != tc.status || a.body["auth"] != nil || (err != nil) != (tc.status == noAnswer) || err == nil && !strings.Contains(fmt.Sprint(a.body), "permission denied") {
			t.Errorf("%s: got %d %v %v", name, a.status, a.body, err)
		}
	}
	w.shutOut(t, machine, session)
}

// shutOut: a caller on the deny list begins no session, and those that it has end.
func (w *world) shutOut(t *testing.T, machine *world, session string) {
	t.Helper()
	if err := os.WriteFile(os.Getenv("DENY_LIST_FILE"), []byte(`{"subject":"machine"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "the session's end", func() bool { return machine.send(t, "GET", "secret/data/mcp/machine/cert", session, "").status == 403 })
	if a := machine.send(t, "PUT", "auth/cert/login", "", `{}`); a.status != 403 || a.body["auth"] != nil {
		t.Errorf("a revoked caller's login: got %d %v", a.status, a.body)
	}
	if err := os.WriteFile(os.Getenv("DENY_LIST_FILE"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "the login of a caller that is let in again", func() bool { return machine.send(t, "PUT", "auth/cert/login", "", `{}`).status == 200 })
	if a := machine.send(t, "GET", "secret/data/mcp/machine/cert", session, ""); a.status != 403 {
		t.Errorf("its session of before: got %d %v", a.status, a.body)
	}
	logins := 0
	for _, rec := range w.records(t) {
		if rec["op"] == "vault.login" && rec["type"] == "intent" {
			logins++
		}
	}
	if logins != 2 {
		t.Errorf("%d logins are on record, want 2", logins)
	}
}
