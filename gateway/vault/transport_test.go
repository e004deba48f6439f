package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

func rewrite(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEnvironmentDoesNotLeak sets what vault/api reads by itself and looks at what
// is sent.
func TestEnvironmentDoesNotLeak(t *testing.T) { overBoth(t, testEnvironmentDoesNotLeak) }

func testEnvironmentDoesNotLeak(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_TOKEN": "leaked", "VAULT_WRAP_TTL": "60s", "VAULT_HEADERS": `{"X-Leaked":"yes"}`, "VAULT_NAMESPACE": "leaked",
		"VAULT_RATE_LIMIT": "0.001:1", "VAULT_MAX_RETRIES": "9", "VAULT_AGENT_ADDR": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
		"VAULT_CLIENT_TIMEOUT": "1ns", "VAULT_PROXY_ADDR": "http://127.0.0.1:1", "VAULT_HTTP_PROXY": "http://127.0.0.1:1",
		"VAULT_SRV_LOOKUP": "true", "VAULT_ADDR": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	var seen []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Clone())
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	cl := newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}})
	for range 3 {
		if got, err := read(t, cl, caller("env")); err != nil || got != "v" {
			t.Fatalf("read: got %q and %v", got, err)
		}
	}
	for _, h := range seen {
		if h.Get("X-Vault-Token") != "own" || h.Get("X-Vault-Wrap-Ttl") != "" || h.Get("X-Leaked") != "" || h.Get("X-Vault-Namespace") != "" {
			t.Errorf("sent %v", h)
		}
		if h.Get("X-Correlation-Id") != "d-env" {
			t.Errorf("decision id: sent %q", h.Get("X-Correlation-Id"))
		}
	}
}

func TestNamespace(t *testing.T) { overBoth(t, testNamespace) }

func testNamespace(t *testing.T) {
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("X-Vault-Namespace")
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	cl := newClient(t, vault.Config{Addr: srv.URL, Namespace: "team/a", Login: vault.Login{Token: "own"}})
	if _, err := read(t, cl, caller("n")); err != nil || got != "team/a" {
		t.Errorf("got namespace %q and %v", got, err)
	}
}

// certificate makes a self-signed certificate for 127.0.0.1 and vault.test that is
// valid for a time from now on.
func certificate(t *testing.T, valid time.Duration) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dev Vault"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"vault.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	rewrite(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	rewrite(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return certFile, keyFile
}

func TestTLS(t *testing.T) { overBoth(t, testTLS) }

func testTLS(t *testing.T) {
	cert, key := certificate(t, time.Hour)
	v := vaulttest.Start(t, "--tls-cert", cert, "--tls-key", key)
	token := vault.Login{Token: call.Secret(v.Token)}
	cases := map[string]struct {
		config vault.Config
		want   call.Code
	}{
		"CA":                     {config: vault.Config{CACert: cert}},
		"CA and server name":     {config: vault.Config{CACert: cert, ServerName: "vault.test"}},
		"client certificate":     {config: vault.Config{CACert: cert, ClientCert: cert, ClientKey: key}},
		"unchecked":              {config: vault.Config{SkipVerify: true}},
		"unknown CA":             {config: vault.Config{}, want: call.VaultUnavailable},
		"a different server":     {config: vault.Config{CACert: cert, ServerName: "other.test"}, want: call.VaultUnavailable},
		"plain HTTP to TLS port": {config: vault.Config{Addr: "http" + v.Addr[len("https"):]}, want: call.VaultUnavailable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.config.Login = token
			if tc.config.Addr == "" {
				tc.config.Addr = v.Addr
			}
			cl := newClient(t, tc.config)
			err := put(t, cl, caller("tls"), "x")
			if tc.want == "" && err != nil || tc.want != "" && !call.Is(err, tc.want) {
				t.Errorf("write: got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestClientCertificate talks to a server that wants a certificate, and reads it anew
// for each connection.
func TestClientCertificate(t *testing.T) { overBoth(t, testClientCertificate) }

func testClientCertificate(t *testing.T) {
	certFile, keyFile := certificate(t, time.Hour)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AddCert(pair.Leaf)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, answer)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: known, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	config := vault.Config{Addr: srv.URL, CACert: certFile, ServerName: "vault.test", Login: vault.Login{Token: "t"}}
	if _, err := read(t, newClient(t, config), caller("tls")); err == nil {
		t.Error("read without a certificate: got nil, want an error")
	}
	otherCert, otherKey := certificate(t, time.Hour)
	config.ClientCert, config.ClientKey = filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "k")
	give := func(cert, key string) {
		for from, to := range map[string]string{cert: config.ClientCert, key: config.ClientKey} {
			raw, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, to, string(raw))
		}
	}
	give(otherCert, otherKey)
	cl := newClient(t, config)
	if _, err := read(t, cl, caller("tls")); err == nil {
		t.Error("read with an unknown certificate: got nil, want an error")
	}
	give(certFile, keyFile)
	e2e.Eventually(t, "a read with the right certificate", func() bool { got, err := read(t, cl, caller("tls")); return err == nil && got == "v" })
}

func TestExpiredCertificate(t *testing.T) { overBoth(t, testExpiredCertificate) }

func testExpiredCertificate(t *testing.T) {
	certFile, keyFile := certificate(t, -time.Minute)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	cl := newClient(t, vault.Config{Addr: srv.URL, CACert: certFile, Login: vault.Login{Token: "t"}})
	if err := put(t, cl, caller("tls"), "x"); !call.Is(err, call.VaultUnavailable) {
		t.Errorf("write: got %v, want vault_unavailable", err)
	}
}

func TestConfigurationProblems(t *testing.T) {
	for name, c := range map[string]vault.Config{
		"missing CA":          {Addr: "https://127.0.0.1:1", CACert: "/nonexistent"},
		"CA without any":      {Addr: "https://127.0.0.1:1", CACert: writeFile(t, "nothing")},
		"missing certificate": {Addr: "https://127.0.0.1:1", ClientCert: "/nonexistent", ClientKey: "/nonexistent"},
		"bad address":         {Addr: "http://[::1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := vault.New(c); err == nil {
				t.Error("New: got nil, want an error")
			}
		})
	}
}

type pathReply struct {
	Path string `json:"path"`
}

// Complete says whether the answer has what is needed of it.
func (r *pathReply) Complete() bool { return r.Path != "" }

func ExampleClient() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"request_id":"1","data":{"path":%q}}`, r.URL.Path)
	}))
	defer srv.Close()
	client, err := vault.New(vault.Config{Addr: srv.URL, Login: vault.Login{Token: "token"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	allowed := call.Mint(&call.Caller{Subject: "app"}, call.Terms{Op: "kv.read", Resource: call.Resource{Mount: "secret"}})
	session, err := client.Open(context.Background(), allowed)
	if err != nil {
		fmt.Println(err)
		return
	}
	var reply pathReply
	err = session.Get(context.Background(), "data/app", nil, &reply)
	fmt.Println(reply.Path, err)
	_, err = client.Open(context.Background(), call.Grant{})
	fmt.Println(err)
	// Output:
	// /v1/secret/data/app <nil>
	// forbidden: denied by policy
}
