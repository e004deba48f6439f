package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"portcullis/gateway/files"
	"portcullis/gateway/policy/bundle"
)

// Config says where policies come from. The files are read at every fetch, so that a
// token or certificate that was renewed is used.
type Config struct {
	URL       string // of the archive
	TokenFile string // bearer token; empty for none
	CA        string // PEM file of the service's certificate authority; empty for those of the system
	Cert, Key string // PEM files of the client's certificate; empty for none
	Keys      bundle.Keys
	Timeout   time.Duration // of one fetch, 30 s
	Wait      time.Duration // for which a service that can is asked to hold a request until there is something new, 0 for not at all
}

// Source is one bundle service. Its methods must not be called at once.
type Source struct {
	cfg   Config
	place string // for messages: the URL without what may be secret
	etag  string // of last
	last  *bundle.Bundle
	holds atomic.Bool // the service can hold requests
}

// longPolled is the type that a service answers with which can hold requests (OPA, REST
// API, "Bundle Service API", long polling).
const longPolled = "application/vnd.openpolicyagent.bundles"

// Holds reports whether the service holds requests until there is something new.
func (s *Source) Holds() bool { return s.cfg.Wait > 0 && s.holds.Load() }

// New checks the configuration. Nothing is fetched yet.
func New(c Config) (*Source, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("POLICY_URL is not an http or https URL")
	}
	if len(c.Keys) == 0 {
		return nil, errors.New("POLICY_URL needs POLICY_KEY_ID and POLICY_KEY_FILE: only signed archives are taken from a service")
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return &Source{cfg: c, place: u.Scheme + "://" + u.Host + u.Path}, nil
}

// Place names the service for messages.
func (s *Source) Place() string { return s.place }

// Fetch returns the archive that the service has now. One that is unchanged since the
// last fetch (304) is returned as it was, without a download.
func (s *Source) Fetch(ctx context.Context) (*bundle.Bundle, error) {
	timeout := s.cfg.Timeout
	if s.Holds() {
		timeout += s.cfg.Wait
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return nil, s.failed(err)
	}
	defer client.CloseIdleConnections()
	req, err := s.request(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, s.failed(bare(err))
	}
	defer func() { _ = res.Body.Close() }()
	s.holds.Store(res.StatusCode < http.StatusBadRequest && res.Header.Get("Content-Type") == longPolled)
	switch {
	case res.StatusCode == http.StatusNotModified && s.last != nil:
		return s.last, nil
	case res.StatusCode != http.StatusOK:
		return nil, s.failed(fmt.Errorf("the service answers %s", res.Status))
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, bundle.MaxFile+1))
	if err != nil {
		return nil, s.failed(fmt.Errorf("read the archive: %w", err))
	}
	b, err := bundle.Archive(raw, s.place, s.cfg.Keys)
	if err != nil {
		return nil, s.failed(err)
	}
	s.last, s.etag = b, res.Header.Get("ETag")
	return b, nil
}

func (s *Source) failed(err error) error { return fmt.Errorf("policy %s: %w", s.place, err) }

// bare is an error of the client without the URL, whose query may be a secret.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func (s *Source) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.URL, nil)
	if err != nil {
		return nil, err
	}
	prefer := "modes=snapshot" // a delta archive is not taken
	if s.Holds() && s.etag != "" {
		prefer += fmt.Sprintf(";wait=%d", int(s.cfg.Wait/time.Second))
	}
	req.Header.Set("Prefer", prefer)
	if s.etag != "" {
		req.Header.Set("If-None-Match", s.etag)
	}
	if s.cfg.TokenFile == "" {
		return req, nil
	}
	token, err := files.Read(s.cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("POLICY_URL_TOKEN_FILE: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return req, nil
}

func (s *Source) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.cfg.CA != "" {
		pool, err := files.CertPool(s.cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("POLICY_URL_CA: %w", err)
		}
		t.RootCAs = pool
	}
	if s.cfg.Cert != "" {
		pair, err := files.KeyPair(s.cfg.Cert, s.cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("POLICY_URL_CERT and POLICY_URL_KEY: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
		CheckRedirect: s.redirect,
	}, nil
}

// maxRedirects is how often a service may send on.
const maxRedirects = 5

// redirect follows within the service alone: a token is for nobody else, and an
// encrypted fetch stays encrypted.
func (s *Source) redirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return errors.New("the service sends on to another host, or too often")
	}
	return nil
}
