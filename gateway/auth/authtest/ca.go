package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"time"
)

// CA is a certificate authority of a test.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Leaf is an issued certificate.
type Leaf struct {
	Cert  *x509.Certificate
	chain [][]byte
	key   *ecdsa.PrivateKey
}

// NewCA makes a root.
func NewCA(name string) *CA {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := template(name)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der := must(x509.CreateCertificate(rand.Reader, t, t, key.Public(), key))
	return &CA{must(x509.ParseCertificate(der)), key}
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(randomBytes(16)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Obviously Fake"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// Client issues a client certificate; change may alter it before it is signed.
func (ca *CA) Client(name string, change func(*x509.Certificate)) *Leaf {
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(t)
	}
	return ca.issue(t)
}

// Server issues a certificate for localhost.
func (ca *CA) Server() *Leaf {
	t := template("localhost")
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames, t.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	return ca.issue(t)
}

func (ca *CA) issue(t *x509.Certificate) *Leaf {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.CreateCertificate(rand.Reader, t, ca.Cert, key.Public(), ca.key))
	return &Leaf{must(x509.ParseCertificate(der)), [][]byte{der}, key}
}

// URI adds a URI SAN to a certificate that is being made.
func URI(s string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.URIs = append(c.URIs, must(url.Parse(s))) }
}

// CRL is a list of what the CA has revoked, in PEM, that is due in the given time.
func (ca *CA) CRL(due time.Duration, revoked ...*Leaf) []byte { return ca.crl(due, nil, revoked) }

// DeltaCRL is a list of changes since another one (RFC 5280, section 5.2.4), of which there
// are none.
func (ca *CA) DeltaCRL(due time.Duration) []byte {
	return ca.crl(due, []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: must(asn1.Marshal(1))}}, nil)
}

func (ca *CA) crl(due time.Duration, extensions []pkix.Extension, revoked []*Leaf) []byte {
	t := &x509.RevocationList{
		Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(due), ExtraExtensions: extensions,
	}
	for _, l := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: l.Cert.SerialNumber, RevocationTime: time.Now().Add(-time.Hour),
		})
	}
	return block("X509 CRL", must(x509.CreateRevocationList(rand.Reader, t, ca.Cert, ca.key)))
}

// PEM is the CA's certificate.
func (ca *CA) PEM() []byte { return block("CERTIFICATE", ca.Cert.Raw) }

// Pool holds the CA alone.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Cert)
	return p
}

// PEM is the certificate's chain and its key.
func (l *Leaf) PEM() (chain, key []byte) {
	for _, der := range l.chain {
		chain = append(chain, block("CERTIFICATE", der)...)
	}
	return chain, block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(l.key)))
}

// TLS is the certificate as a client presents it.
func (l *Leaf) TLS() tls.Certificate { return tls.Certificate{Certificate: l.chain, PrivateKey: l.key} }

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
