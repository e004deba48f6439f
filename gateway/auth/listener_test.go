package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
)

// serve starts a listener with the chain's TLS configuration that answers with
// who called.
func serve(t *testing.T, ch *auth.Authenticator) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ch.Authenticate(r)
		if err != nil {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, c.Method, " ", c.Subject)
	}))
	s.TLS = ch.TLSConfig()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// client is an HTTP client of its own connections, with a certificate or none.
func client(t *testing.T, ca *authtest.CA, l *authtest.Leaf, change func(*tls.Config)) *http.Client {
	t.Helper()
	c := &tls.Config{RootCAs: ca.Pool()}
	if l != nil {
		pair := l.TLS() // shown even when the listener does not ask for its CA
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if change != nil {
		change(c)
	}
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// ask returns the answer, "401" or "handshake".
func ask(t *testing.T, c *http.Client, url string, headers ...string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Set("X-API-Key", h)
	}
	res, err := c.Do(r)
	if err != nil {
		return "handshake"
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.StatusCode)
	}
	return string(body)
}

const apiKey = "fake-api-key-of-agent-api-000001"

func TestListenerAsksForCertificates(t *testing.T) {
	w := newWorld(t)
	expired := w.ca.Client("robot", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for _, mode := range []struct{ name, without string }{{"request", "401"}, {"require", "handshake"}} {
		cfg := w.cfg
		cfg.TLS.ClientAuth = mode.name
		url := serve(t, open(t, cfg))
		for name, c := range map[string]struct {
			leaf *authtest.Leaf
			want string
		}{
			"none": {nil, mode.without}, "good": {w.client, "mtls robot"}, "of another CA": {w.otherCA.Client("robot", nil), "handshake"},
			"revoked": {w.revoked, "handshake"}, "expired": {expired, "handshake"}, "for servers": {w.ca.Server(), "handshake"}, "denied": {w.denied, "401"},
		} {
			t.Run(mode.name+", "+name, func(t *testing.T) {
				if got := ask(t, client(t, w.ca, c.leaf, nil), url); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		}
		t.Run(mode.name+", key without certificate", func(t *testing.T) {
			want := map[string]string{"request": "api_key agent_api", "require": "handshake"}[mode.name]
			if got := ask(t, client(t, w.ca, nil, nil), url, apiKey); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestListenerVersions(t *testing.T) {
	w := newWorld(t)
	url := serve(t, w.chain)
	for name, c := range map[string]struct {
		change func(*tls.Config)
		want   string
	}{
		"1.1": {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "handshake"},
		"1.2": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "mtls robot"},
		"1.3": {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, "mtls robot"},
		"1.2 and only CBC": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, "handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(t, client(t, w.ca, w.client, c.change), url); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// rewrite replaces a file and lets the chain look.
func (w *world) rewrite(ch *auth.Authenticator, name string, data []byte) {
	w.t.Helper()
	w.file(name, data)
	ch.Reload()
}

// TestS31_RevocationReachesOpenConnections revokes and expires a certificate
// whose connection is open and whose verdict is remembered.
func TestS31_RevocationReachesOpenConnections(t *testing.T) {
	for name, change := range map[string]func(*world){
		"revocation list": func(w *world) { w.rewrite(w.chain, "crl.pem", w.ca.CRL(time.Hour, w.client)) },
		"outdated list":   func(w *world) { w.rewrite(w.chain, "crl.pem", w.ca.CRL(-time.Minute)) },
		"another CA":      func(w *world) { w.rewrite(w.chain, "ca.crt", w.otherCA.PEM()) },
		"deny list": func(w *world) {
			w.rewrite(w.chain, "deny", []byte(`{"cert_serial":"`+w.client.Cert.SerialNumber.Text(16)+`"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			url, c := serve(t, w.chain), client(t, w.ca, w.client, nil)
			for range 2 {
				if got := ask(t, c, url); got != "mtls robot" {
					t.Fatalf("before: got %s", got)
				}
			}
			change(w)
			if got := ask(t, c, url); got != "401" {
				t.Errorf("on the open connection: got %s, want 401", got)
			}
			if got := ask(t, client(t, w.ca, w.client, nil), url); got == "mtls robot" {
				t.Error("a new connection was accepted")
			}
		})
	}
}

func TestServerCertificateIsReplacedWithoutRestart(t *testing.T) {
	w := newWorld(t)
	url := serve(t, w.chain)
	served := func() string {
		var name string
		c := client(t, w.ca, w.client, func(c *tls.Config) {
			c.VerifyConnection = func(cs tls.ConnectionState) error {
				name = cs.PeerCertificates[0].SerialNumber.Text(16)
				return nil
			}
		})
		if got := ask(t, c, url); got != "mtls robot" {
			t.Fatalf("got %s", got)
		}
		return name
	}
	before := served()
	next := w.ca.Server()
	chain, key := next.PEM()
	w.rewrite(w.chain, "tls.crt", chain) // its key is still the old one
	if served() != before || w.chain.Health() == nil {
		t.Error("a certificate without its key: want the old one and a word about it")
	}
	w.rewrite(w.chain, "tls.key", key)
	if got := served(); got != next.Cert.SerialNumber.Text(16) {
		t.Error("the new certificate is not served")
	}
	if err := w.chain.Health(); err != nil {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(w.cfg.TLS.CRLFile); err != nil {
		t.Fatal(err)
	}
	w.chain.Reload()
	if served(); w.chain.Health() == nil {
		t.Error("the revocation list is gone: want a word about it")
	}
}

// TestSessionsAreNotResumed holds each connection against the files of now: a
// resumed one would bring the verdict of then.
func TestSessionsAreNotResumed(t *testing.T) {
	w := newWorld(t)
	url := serve(t, w.chain)
	cache := tls.NewLRUClientSessionCache(8)
	for i := range 3 {
		c := client(t, w.ca, w.client, func(c *tls.Config) {
			c.ClientSessionCache = cache
			c.VerifyConnection = func(cs tls.ConnectionState) error {
				if cs.DidResume {
					t.Errorf("connection %d was resumed", i)
				}
				return nil
			}
		})
		if got := ask(t, c, url); got != "mtls robot" {
			t.Fatalf("got %s", got)
		}
	}
}

// TestS23_HeadersAboutCertificatesAreRemoved looks at what is left for those who
// read the request later.
func TestS23_HeadersAboutCertificatesAreRemoved(t *testing.T) {
	w := newWorld(t)
	names := []string{"X-SSL-Client-S-DN", "X-SSL-Client-Verify", "Client-DN", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert"}
	for peer, want := range map[string]int{anyone: 0, proxy: 2} {
		r := w.get(from(peer))
		for _, n := range names {
			r.Header.Set(n, "x")
		}
		_, _ = w.chain.Authenticate(r)
		left := 0
		for _, n := range names {
			left += len(r.Header.Values(n))
		}
		if left != want {
			t.Errorf("from %s: %d headers are left, want %d", peer, left, want)
		}
	}
}

// TestAProxysOwnCertificateIsNobodys forwards a request of somebody who has none.
func TestAProxysOwnCertificateIsNobodys(t *testing.T) {
	w := newWorld(t)
	w.cfg.MTLS.Headers = false
	ch := open(t, w.cfg)
	if c := w.accept(ch, from(proxy), with(w.client), header("X-Forwarded-For", "203.0.113.7")); c != nil {
		t.Errorf("a forwarded request is let in as %s", c.Key())
	}
	if c := w.accept(ch, from(proxy), with(w.client)); c == nil || c.Subject != "robot" {
		t.Errorf("a call of the proxy itself: got %v", c)
	}
}
