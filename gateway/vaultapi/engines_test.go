package vaultapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// Credentials of any engine end with their lease, which is their caller's alone.
func clientCreds(t *testing.T, w *world, cl *api.Client) {
	creds := must[*api.Secret](t)(cl.Logical().Read("brokers/creds/readonly"))
	if creds.LeaseID == "" || creds.Data["password"] == nil {
		t.Fatalf("got %+v", creds)
	}
	if l := must[*api.Secret](t)(cl.Sys().Renew(creds.LeaseID, 120)); l.LeaseDuration != 120 {
		t.Errorf("got %+v", l)
	}
	if _, err := w.client(t, otherKey).Sys().Renew(creds.LeaseID, 120); status(err) == 0 {
		t.Errorf("another caller's lease: got %v", err)
	}
	if err := cl.Sys().Revoke(creds.LeaseID); err != nil {
		t.Error(err)
	}
	if _, err := w.client(t, otherKey).Logical().Read("brokers/creds/readonly"); status(err) != 403 {
		t.Errorf("without a grant: got %v", err)
	}
}

// A certificate is good until its holder revokes it.
func clientPKI(t *testing.T, w *world, cl *api.Client) {
	l := cl.Logical()
	issued := must[*api.Secret](t)(l.Write("pki/issue/web", map[string]any{"common_name": "app.example.test", "alt_names": "b.example.test", "ip_sans": "127.0.0.1", "ttl": "10m"}))
	ca := must[*api.Secret](t)(l.Read("pki/cert/ca"))
	cert := certificate(t, issued.Data["certificate"])
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, ca.Data["certificate"]))
	for _, name := range []string{"app.example.test", "b.example.test", "127.0.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.Write("pki/issue/web", map[string]any{"common_name": "elsewhere.test"}); status(err) != 400 {
		t.Errorf("a name that the role does not allow: got %v", err)
	}
	if _, err := l.Write("pki/issue/other", map[string]any{"common_name": "app.example.test"}); status(err) != 403 {
		t.Errorf("a role without a grant: got %v", err)
	}
	must[*api.Secret](t)(l.Write("pki/revoke-with-key", map[string]any{"certificate": issued.Data["certificate"], "private_key": issued.Data["private_key"]}))
	crl := must[*api.Secret](t)(l.Read("pki/cert/crl"))
	block, _ := pem.Decode([]byte(fmt.Sprint(crl.Data["certificate"])))
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	revoked := false
	for _, e := range list.RevokedCertificateEntries {
		revoked = revoked || e.SerialNumber.Cmp(cert.SerialNumber) == 0
	}
	if !revoked {
		t.Error("the certificate is not on the list of revoked ones")
	}
}

// A request of one's own key is signed. What is no request, or no certificate, or has a
// private key beside it, is refused before it is on record.
func clientCSR(t *testing.T, w *world, cl *api.Client) {
	l := cl.Logical()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"app.example.test"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("a private key that was pasted")}))
	signed := must[*api.Secret](t)(l.Write("pki/sign/web", map[string]any{"common_name": "app.example.test", "csr": "\n" + csr + "\n"}))
	cert := certificate(t, signed.Data["certificate"])
	if !key.PublicKey.Equal(cert.PublicKey) || cert.VerifyHostname("app.example.test") != nil {
		t.Errorf("got %v for %v", cert.PublicKey, cert.DNSNames)
	}
	for name, text := range map[string]string{"nothing": "", "a text": "secret-text", "a key": private, "a key behind": csr + private, "a key before": private + csr, "a damaged request": strings.Replace(csr, "\nMI", "\nMA", 1)} {
		if _, err := l.Write("pki/sign/web", map[string]any{"common_name": "app.example.test", "csr": text}); status(err) != 400 {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := l.Write("pki/revoke-with-key", map[string]any{"certificate": text, "private_key": private}); status(err) != 400 {
			t.Errorf("%s as a certificate: got %v", name, err)
		}
	}
	damaged := strings.Replace(private, "-----END", "====END", 1) // what PEM skips is not on record either
	must[*api.Secret](t)(l.Write("pki/sign/web", map[string]any{"common_name": "app.example.test", "csr": damaged + csr}))
	for _, r := range w.records(t) {
		if line := fmt.Sprint(r); strings.Contains(line, "PRIVATE KEY") || strings.Contains(line, "secret-text") {
			t.Errorf("on record: %s", line)
		}
	}
}

func certificate(t *testing.T, text any) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(fmt.Sprint(text)))
	if block == nil {
		t.Fatalf("no PEM: %v", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A code is made and verified, once; its key is never told.
func clientTOTP(t *testing.T, _ *world, cl *api.Client) {
	l := cl.Logical()
	code := must[*api.Secret](t)(l.Read("totp/code/login")).Data["code"]
	for _, want := range []bool{true, false} { // a code is good once
		v, err := l.Write("totp/code/login", map[string]any{"code": code})
		if got := err == nil && v.Data["valid"] == true; got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	if _, err := l.Read("totp/keys/login"); status(err) != 404 && err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := l.Read("totp/code/other"); status(err) != 403 {
		t.Errorf("a key without a grant: got %v", err)
	}
}
