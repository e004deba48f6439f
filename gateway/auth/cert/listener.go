// Package cert knows client certificates: how a listener asks for them, which are
// accepted, and whom they name.
package cert

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/files"
)

// Listener configures TLS of the gateway's own listener.
type Listener struct {
	CertFile     string // TLS_CERT_FILE, PEM chain; empty for a listener without TLS
	KeyFile      string // TLS_KEY_FILE
	ClientCAFile string // TLS_CLIENT_CA_FILE
	ClientAuth   string // TLS_CLIENT_AUTH: off (default), request or require
	CRLFile      string // TLS_CRL_FILE: PEM or DER; when set, every CA in a client's chain needs a current list in it
	// OneName takes client CAs of one name alone. A common name or DNS name says nothing
	// about the CA that vouches for it, so with CAs of different names two of them could
	// vouch for the same one. Two certificates of one CA are fine, for its rotation.
	OneName bool
}

// Asks reports whether clients are asked for certificates.
func (l Listener) Asks() bool { return l.ClientAuth == "request" || l.ClientAuth == "require" }

// check lists what is wrong with the combination.
func (l Listener) check() error {
	var errs []error
	switch l.ClientAuth {
	case "", "off", "request", "require":
	default:
		errs = append(errs, fmt.Errorf("TLS_CLIENT_AUTH=%q: want off, request or require", l.ClientAuth))
	}
	if (l.CertFile == "") != (l.KeyFile == "") {
		errs = append(errs, errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together"))
	}
	if l.Asks() && l.CertFile == "" {
		errs = append(errs, errors.New("TLS_CLIENT_AUTH needs TLS_CERT_FILE"))
	}
	if l.Asks() && l.ClientCAFile == "" {
		errs = append(errs, errors.New("TLS_CLIENT_AUTH needs TLS_CLIENT_CA_FILE"))
	}
	if !l.Asks() && (l.ClientCAFile != "" || l.CRLFile != "") {
		errs = append(errs, errors.New("TLS_CLIENT_CA_FILE and TLS_CRL_FILE need TLS_CLIENT_AUTH=request or require"))
	}
	return errors.Join(errs...)
}

// Server is a listener's certificates over time. It is safe for concurrent use.
type Server struct {
	l     Listener
	files []*files.File

	mu    sync.Mutex // one load at a time
	state atomic.Pointer[state]
}

// state is what the files said last, never changed.
type state struct {
	config *tls.Config
	pool   *x509.CertPool
	lists  []*x509.RevocationList
	known  *verdicts
}

// NewServer reads the files. It returns nil for a listener without TLS.
func NewServer(l Listener) (*Server, error) {
	if err := l.check(); err != nil || l.CertFile == "" {
		return nil, err
	}
	s := &Server{l: l}
	for _, path := range []string{l.CertFile, l.KeyFile, l.ClientCAFile, l.CRLFile} {
		if path != "" {
			s.files = append(s.files, files.New(path))
		}
	}
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads all files again when one has changed and reports whether it had. A
// mistake in any changes nothing, so a new certificate and its key may be written
// one after the other.
func (s *Server) Reload() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for _, f := range s.files {
		touched, err := f.Poll(func([]byte) error { return nil })
		if err != nil {
			s.forget()
			return false, err
		}
		changed = changed || touched
	}
	if !changed && s.state.Load() != nil {
		return false, nil
	}
	next, err := load(s.l)
	if err != nil {
		s.forget()
		return false, err
	}
	s.state.Store(next)
	return true, nil
}

// forget makes the next look read everything again; mu is held.
func (s *Server) forget() {
	for i, f := range s.files {
		s.files[i] = files.New(f.Path())
	}
}

func load(l Listener) (*state, error) {
	pair, err := files.KeyPair(l.CertFile, l.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	st := &state{known: newVerdicts()}
	if l.Asks() {
		roots, err := readCerts(l.ClientCAFile)
		if err != nil {
			return nil, err
		}
		st.pool = x509.NewCertPool()
		for _, c := range roots {
			if l.OneName && string(c.RawSubject) != string(roots[0].RawSubject) {
				return nil, errors.New("TLS_CLIENT_CA_FILE holds CAs of different names: a name of one could equal one of another; use MTLS_SUBJECT_FROM=spiffe")
			}
			st.pool.AddCert(c)
		}
	}
	if l.CRLFile != "" {
		if st.lists, err = readLists(l.CRLFile); err != nil {
			return nil, err
		}
	}
	st.config = st.tls(l, pair)
	return st, nil
}

// tls is the configuration of one handshake: TLS 1.3, or 1.2 with forward secrecy
// and authenticated encryption (RFC 9325 section 4.2). Sessions are not resumed
// where clients are asked for certificates, so that each connection is held
// against today's CA and lists.
func (st *state) tls(l Listener, pair tls.Certificate) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	if !l.Asks() {
		return c
	}
	c.ClientCAs, c.SessionTicketsDisabled = st.pool, true
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if l.ClientAuth == "require" {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return nil
		}
		return st.verify(cs.PeerCertificates, time.Now())
	}
	return c
}

// TLS returns the configuration for the listener. Each handshake uses the files
// as they were last read.
func (s *Server) TLS() *tls.Config {
	c := s.state.Load().config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.state.Load().config, nil }
	return c
}

// Asks reports whether clients are asked for certificates.
func (s *Server) Asks() bool { return s.l.Asks() }

func readCerts(path string) ([]*x509.Certificate, error) {
	data, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !c.IsCA {
			return nil, fmt.Errorf("%s: %s is not a CA", path, c.Subject)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificate in it", path)
	}
	return out, nil
}
