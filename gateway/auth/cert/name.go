package cert

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
)

// From is the part of a certificate that names its subject.
type From string

// The parts.
const (
	FromCN     From = "cn"
	FromDNS    From = "dns"
	FromSPIFFE From = "spiffe"
)

// Name returns the tenant and subject that a certificate names. There must be
// exactly one name of the kind: of two, anybody could mean the other. The names
// still have to pass principal.Check.
func Name(c *x509.Certificate, from From, ids principal.SPIFFE) (tenant, subject string, err error) {
	switch from {
	case FromCN:
		return "", c.Subject.CommonName, one(commonNames(c), "common name")
	case FromDNS:
		if err := one(len(c.DNSNames), "DNS name"); err != nil {
			return "", "", err
		}
		return "", c.DNSNames[0], canonical(c.DNSNames[0])
	case FromSPIFFE:
		// X509-SVID sections 2 and 5.2: exactly one URI, and what signs is no workload.
		if err := one(len(c.URIs), "URI"); err != nil {
			return "", "", err
		}
		if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
			return "", "", fmt.Errorf("%w: it is for signing certificates", rule.CertName)
		}
		return ids.Parse(c.URIs[0].String())
	}
	return "", "", fmt.Errorf("%w: no kind of name is configured", rule.CertName)
}

// canonical holds a DNS name to one of the forms that mean the same name (RFC 4343): its holder
// is one caller, with one share of what there is, and is revoked as that one.
func canonical(name string) error {
	if name == strings.ToLower(name) && !strings.HasSuffix(name, ".") {
		return nil
	}
	return fmt.Errorf("%w: a DNS name with capitals or with a dot at its end", rule.CertName)
}

func one(n int, what string) error {
	if n == 1 {
		return nil
	}
	return fmt.Errorf("%w: %d times a %s", rule.CertName, n, what)
}

func commonNames(c *x509.Certificate) (n int) {
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	for _, a := range c.Subject.Names {
		if a.Type.Equal(cn) {
			n++
		}
	}
	return n
}
