package auth

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/peer"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// certNames is how certificates become callers.
type certNames struct {
	from      cert.From
	ids       principal.SPIFFE
	attribute string // of a DN
	identity  string // canonical header names
	verify    string
	never     []string // headers about certificates that nobody is believed about
	scopes    []string
	known     *lru.Cache[[sha256.Size]byte, known] // by fingerprint; what a certificate says does not change
}

// known is a certificate that was read before.
type known struct {
	caller *call.Caller
	chain  []*x509.Certificate
}

func (ch *Authenticator) openTLS() (err error) {
	l := ch.cfg.TLS
	l.OneName = cert.From(ch.cfg.MTLS.SubjectFrom) != cert.FromSPIFFE
	ch.tls, err = cert.NewServer(l)
	return err
}

// TLSConfig returns the TLS configuration of the listener, nil for one without
// TLS. Certificates, client CAs and revocation lists are those of the files as
// they were last read.
func (ch *Authenticator) TLSConfig() *tls.Config {
	if ch.tls == nil {
		return nil
	}
	return ch.tls.TLS()
}

func (ch *Authenticator) openCertNames() error {
	m := ch.cfg.MTLS
	n := certNames{
		from:      cert.From(cmp.Or(m.SubjectFrom, string(cert.FromCN))),
		attribute: strings.TrimSuffix(cmp.Or(m.CNPrefix, "CN="), "="),
		identity:  http.CanonicalHeaderKey(cmp.Or(m.IdentityHeader, "x-ssl-client-s-dn")),
		verify:    http.CanonicalHeaderKey(cmp.Or(m.VerifyHeader, "x-ssl-client-verify")),
		scopes:    m.Scopes,
	}
	n.never = slices.DeleteFunc([]string{
		"Client-Dn", "X-Client-Dn", "X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "X-Ssl-Client-Cert",
		"X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain",
	}, func(h string) bool { return h == n.identity || h == n.verify })
	seen, err := lru.New[[sha256.Size]byte, known](1 << 12)
	n.known = seen
	ids, idErr := principal.NewSPIFFE(m.SPIFFEPath, m.TrustDomains)
	n.ids = ids
	ch.certs = n
	return errors.Join(err, idErr, ch.checkCertNames())
}

// checkCertNames refuses what could be no name, or be read twice.
func (ch *Authenticator) checkCertNames() error {
	var errs []error
	switch ch.certs.from {
	case cert.FromSPIFFE, cert.FromCN, cert.FromDNS:
	default:
		errs = append(errs, fmt.Errorf("MTLS_SUBJECT_FROM=%q: want cn, dns or spiffe", ch.certs.from))
	}
	if ch.certs.identity == ch.certs.verify {
		errs = append(errs, errors.New("MTLS_IDENTITY_HEADER and MTLS_VERIFY_HEADER are the same header"))
	}
	if ch.cfg.MTLS.Headers && len(ch.trust) == 0 {
		ch.log.Warn("AUTH_MTLS_ENABLED accepts headers from TRUSTED_PROXIES, but none are configured")
	}
	return errors.Join(errs...)
}

// strip removes headers about client certificates that did not come from a
// trusted proxy, and those that nobody is believed about.
func (ch *Authenticator) strip(r *http.Request) {
	for _, h := range ch.certs.never {
		delete(r.Header, h)
	}
	if !ch.cfg.MTLS.Headers || !ch.trust.Contains(peer.Addr(r)) {
		delete(r.Header, ch.certs.identity)
		delete(r.Header, ch.certs.verify)
	}
}

// certificate returns the caller that a client certificate names, nil when there
// is none. One that is there and not good is an error.
func (ch *Authenticator) certificate(r *http.Request, now time.Time) (*call.Caller, error) {
	native, err := ch.native(r, now)
	if err != nil {
		return nil, err
	}
	if ch.forwarded(r) {
		return ch.reported(r)
	}
	return native, nil
}

// forwarded reports whether a trusted proxy speaks for somebody else. Its own
// certificate is then nobody's credential.
func (ch *Authenticator) forwarded(r *http.Request) bool {
	return len(ch.trust) > 0 && (ch.cfg.MTLS.Headers || r.Header["X-Forwarded-For"] != nil) && ch.trust.Contains(peer.Addr(r))
}

// native reads the certificate of the connection.
func (ch *Authenticator) native(r *http.Request, now time.Time) (*call.Caller, error) {
	if ch.tls == nil || !ch.tls.Asks() || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	fp, err := ch.tls.Verify(r.TLS.PeerCertificates, now)
	if err != nil {
		return nil, err
	}
	if k, ok := ch.certs.known.Get(fp); ok {
		return k.caller, nil
	}
	leaf := r.TLS.PeerCertificates[0]
	c := ch.certCaller()
	c.CertFP, c.CertSerial = hex.EncodeToString(fp[:]), leaf.SerialNumber.Text(16)
	c.Issuer, c.AuthTime, c.Expires = leaf.Issuer.String(), leaf.NotBefore, leaf.NotAfter
	if c.Tenant, c.Subject, err = cert.Name(leaf, ch.certs.from, ch.certs.ids); err != nil {
		return nil, err
	}
	if err := principal.CheckNamed(c, ch.cfg.DefaultPrefix); err != nil {
		return nil, err
	}
	ch.certs.known.Add(fp, known{c, r.TLS.PeerCertificates})
	return c, nil
}

// stillHolds holds the certificate that a caller came with against the files of
// now. Of one that was forgotten only the serial is left.
func (ch *Authenticator) stillHolds(c *call.Caller, now time.Time) error {
	fp, err := hex.DecodeString(c.CertFP)
	if ch.tls == nil || err != nil || len(fp) != sha256.Size {
		return nil
	}
	if k, ok := ch.certs.known.Get([sha256.Size]byte(fp)); ok {
		_, err := ch.tls.Verify(k.chain, now)
		return err
	}
	if ch.tls.Listed(c.CertSerial) {
		return rule.CertRevoked
	}
	return nil
}

// reported reads what a trusted proxy says of its client's certificate. A proxy
// whose client had none says NONE, or nothing.
func (ch *Authenticator) reported(r *http.Request) (*call.Caller, error) {
	names, verdicts := r.Header[ch.certs.identity], r.Header[ch.certs.verify]
	if len(names) > 1 || len(verdicts) > 1 {
		return nil, fmt.Errorf("%w: a header came twice", rule.CertVerify)
	}
	name, verdict := strings.Join(names, ""), strings.Join(verdicts, "")
	if name == "" && (verdict == "" || strings.EqualFold(verdict, "NONE")) {
		return nil, nil
	}
	if !strings.EqualFold(verdict, "SUCCESS") {
		return nil, rule.CertVerify
	}
	c := ch.certCaller()
	var err error
	if c.Subject, err = cert.DNValue(name, ch.certs.attribute); err != nil {
		return nil, err
	}
	return c, principal.CheckNamed(c, ch.cfg.DefaultPrefix)
}

func (ch *Authenticator) certCaller() *call.Caller {
	return &call.Caller{Method: call.MTLS, Scopes: ch.certs.scopes, Kind: ch.cfg.MTLS.Kind}
}
