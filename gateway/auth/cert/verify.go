package cert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/files"
)

// remembered bounds the certificates whose chains are remembered.
const remembered = 1 << 12

// verdicts remembers how long a chain that was verified stays good. It belongs to
// one state, so a new CA file or revocation list forgets everything.
type verdicts struct {
	until *lru.Cache[[sha256.Size]byte, time.Time]
}

func newVerdicts() *verdicts {
	c, err := lru.New[[sha256.Size]byte, time.Time](remembered)
	if err != nil {
		panic(err) // the size is positive
	}
	return &verdicts{c}
}

// Verify holds a client's certificates, its own first, against the CAs and
// revocation lists of now. A connection may be older than both. It returns the
// certificate's SHA-256. Errors are rules.
func (s *Server) Verify(chain []*x509.Certificate, now time.Time) ([sha256.Size]byte, error) {
	st := s.state.Load()
	fp := sha256.Sum256(chain[0].Raw)
	if until, ok := st.known.until.Get(fp); ok && now.Before(until) {
		return fp, nil
	}
	return fp, st.verify(chain, now)
}

func (st *state) verify(chain []*x509.Certificate, now time.Time) error {
	if st.pool == nil {
		return fmt.Errorf("%w: no client CA is configured", rule.CertChain)
	}
	leaf := chain[0]
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return rule.CertTime
	}
	o := x509.VerifyOptions{
		Roots: st.pool, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	paths, err := leaf.Verify(o)
	if err != nil {
		return fmt.Errorf("%w: %w", rule.CertChain, err)
	}
	until, err := st.revocation(paths, now)
	if err != nil {
		return err
	}
	st.known.until.Add(sha256.Sum256(leaf.Raw), until)
	return nil
}

// revocation returns until when the best of the paths is known to be good.
func (st *state) revocation(paths [][]*x509.Certificate, now time.Time) (until time.Time, err error) {
	for _, path := range paths {
		if until, err = st.path(path, now); err == nil {
			return until, nil
		}
	}
	return until, err
}

// path checks each certificate of a path against its issuer's list. With lists
// configured, a certificate whose issuer has no current one is refused.
func (st *state) path(path []*x509.Certificate, now time.Time) (until time.Time, err error) {
	until = path[0].NotAfter
	for i, c := range path {
		until = earlier(until, c.NotAfter)
		if st.lists == nil || i+1 == len(path) {
			continue
		}
		next, err := st.listed(c, path[i+1], now)
		if err != nil {
			return until, err
		}
		until = earlier(until, next)
	}
	return until, nil
}

// listed returns when a new list is due, or that the certificate is on one.
func (st *state) listed(c, issuer *x509.Certificate, now time.Time) (due time.Time, err error) {
	err = rule.CertNoCRL
	for _, l := range st.lists {
		if string(l.RawIssuer) != string(issuer.RawSubject) || l.CheckSignatureFrom(issuer) != nil {
			continue
		}
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return due, rule.CertRevoked
			}
		}
		if now.Before(l.NextUpdate) && l.NextUpdate.After(due) {
			due, err = l.NextUpdate, nil
		}
	}
	return due, err
}

// Listed reports whether a serial, in hex, is on any list. It is for those who
// have nothing but the serial: a serial of another CA may be meant, and then a
// stream ends that need not have.
func (s *Server) Listed(serial string) bool {
	for _, l := range s.state.Load().lists {
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Text(16) == serial {
				return true
			}
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// readLists reads one list in DER or any number in PEM.
func readLists(path string) ([]*x509.RevocationList, error) {
	data, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	var ders [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		ders = append(ders, block.Bytes)
	}
	if len(ders) == 0 {
		ders = [][]byte{data}
	}
	var out []*x509.RevocationList
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := whole(l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, l)
	}
	return out, nil
}

// whole refuses a list with a critical extension, such as that of a list of changes, of some
// kinds of certificates or of other issuers: what is not on one may still be revoked (RFC
// 5280, section 5.2).
func whole(l *x509.RevocationList) error {
	for _, e := range l.Extensions {
		if e.Critical {
			return fmt.Errorf("the list of %s has the critical extension %s, so it may not be whole: give the full list of each CA", l.Issuer, e.Id)
		}
	}
	return nil
}
