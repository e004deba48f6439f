package vault

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/files"
	"portcullis/gateway/vault/http1"
)

// dialTimeout bounds connecting, so that a dead Vault is known within a second.
const dialTimeout = 700 * time.Millisecond

// newBase makes the immutable client. vault/api reads many environment variables
// by itself (token, namespace, headers, wrap TTL, rate limit, proxy); each is
// overridden, so that none of them leaks into callers' requests.
func newBase(c Config, tr *transport) (*api.Client, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("read Vault's environment variables: %w", cfg.Error)
	}
	cfg.Address, cfg.AgentAddress = c.Addr, ""
	cfg.HttpClient = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cfg.MaxRetries, cfg.Limiter, cfg.Timeout, cfg.SRVLookup, cfg.DisableRedirects = 0, nil, 0, false, true
	cfg.CloneHeaders, cfg.CloneToken, cfg.ReadYourWrites = false, false, false
	base, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the Vault client: %w", err)
	}
	base.ClearToken()
	base.SetHeaders(http.Header{"X-Vault-Request": {"true"}})
	base.ClearNamespace()
	if c.Namespace != "" {
		base.SetNamespace(c.Namespace)
	}
	base.SetWrappingLookupFunc(func(string, string) string { return "" })
	return base, nil
}

// transport sends requests whose answers are read at once. What is a stream, or goes
// through a proxy, is net/http's.
type transport struct {
	streams *http.Transport
	direct  *http1.Transport // nil when everything is net/http's
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if t.direct != nil && http1.Takes(r) && !t.proxied(r) {
		resp, err = t.direct.RoundTrip(r)
	} else {
		resp, err = t.streams.RoundTrip(once(r))
	}
	if resp != nil && resp.Body != nil && resp.StatusCode >= http.StatusBadRequest {
		resp.Body = limited{io.LimitReader(resp.Body, maxError), resp.Body}
	}
	return resp, err
}

// proxied reports whether a request goes through a proxy, or may not.
func (t *transport) proxied(r *http.Request) bool {
	if t.streams.Proxy == nil {
		return false
	}
	u, err := t.streams.Proxy(r)
	return u != nil || err != nil
}

// closeIdle closes the connections that nobody uses. It is not called
// CloseIdleConnections, which vault/api calls after every error.
func (t *transport) closeIdle() {
	t.streams.CloseIdleConnections()
	if t.direct != nil {
		t.direct.CloseIdleConnections()
	}
}

// once makes a request whose context says so one that net/http sends exactly once. It
// repeats a GET by itself when a kept connection breaks, but to Vault a GET can make a
// credential; a request with a body that cannot be read again is not repeated.
func once(r *http.Request) *http.Request {
	if r.ContentLength == 0 && r.Context().Value(onceKey{}) != nil {
		r = r.Clone(r.Context())
		r.Body, r.GetBody = noBody{}, nil
	}
	return r
}

// maxError bounds what is read of an answer that reports an error, in bytes: vault/api
// reads all of it.
const maxError = 1 << 20

// limited reads from one and closes the other.
type limited struct {
	io.Reader
	io.Closer
}

// onceKey marks the context of a request that must not be repeated.
type onceKey struct{}

// noBody is empty, but not known to be.
type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }
func (noBody) Close() error             { return nil }

// What is open to Vault at once.
const (
	maxConns     = 512 // connections with a request on them
	maxIdleConns = 256
	idleTimeout  = 90 * time.Second
)

func newTransport(c Config) (*transport, error) {
	tc, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	t := &transport{streams: &http.Transport{
		Proxy:               c.Proxy,
		DialContext:         dial,
		TLSClientConfig:     tc,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		MaxConnsPerHost:     maxConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}}
	if !c.netHTTP {
		t.direct = &http1.Transport{
			Dial: dial, TLS: tc, HandshakeTimeout: dialTimeout,
			MaxActive: maxConns, MaxIdle: maxIdleConns, IdleTimeout: idleTimeout,
		}
	}
	return t, nil
}

func tlsConfig(c Config) (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.SkipVerify} //nolint:gosec // the operator's own choice, as in Vault's clients
	if c.CACert != "" {
		pool, err := files.CertPool(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read VAULT_CACERT: %w", err)
		}
		tc.RootCAs = pool
	}
	if c.ClientCert == "" {
		return tc, nil
	}
	if _, err := files.KeyPair(c.ClientCert, c.ClientKey); err != nil {
		return nil, fmt.Errorf("read VAULT_CLIENT_CERT: %w", err)
	}
	// Read for each handshake, so that a renewed certificate is used at once.
	tc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := files.KeyPair(c.ClientCert, c.ClientKey)
		return &cert, err
	}
	return tc, nil
}
