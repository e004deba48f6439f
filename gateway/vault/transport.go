package vault

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// dialTimeout bounds connecting, so that a dead Vault is known within a second.
const dialTimeout = 700 * time.Millisecond

// newBase makes the immutable client. vault/api reads many environment variables
// by itself (token, namespace, headers, wrap TTL, rate limit, proxy); each is
// overridden, so that none of them leaks into callers' requests.
func newBase(c Config, tr *http.Transport) (*api.Client, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("read Vault's environment variables: %w", cfg.Error)
	}
	cfg.Address, cfg.AgentAddress = c.Addr, ""
	cfg.HttpClient = &http.Client{Transport: once{tr}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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

// once sends a request whose context says so exactly once. net/http repeats a GET
// by itself when a kept connection breaks, but to Vault a GET can make a
// credential; a request with a body that cannot be read again is not repeated.
// It hides CloseIdleConnections, which the client calls after every error.
type once struct{ *http.Transport }

// CloseIdleConnections does nothing.
func (once) CloseIdleConnections() {}

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength == 0 && r.Context().Value(onceKey{}) != nil {
		r = r.Clone(r.Context())
		r.Body, r.GetBody = noBody{}, nil
	}
	resp, err := o.Transport.RoundTrip(r)
	if resp != nil && resp.Body != nil && resp.StatusCode >= http.StatusBadRequest {
		resp.Body = limited{io.LimitReader(resp.Body, maxError), resp.Body}
	}
	return resp, err
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

func newTransport(c Config) (*http.Transport, error) {
	tc, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               c.Proxy,
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tc,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		MaxConnsPerHost:     512,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}, nil
}

func tlsConfig(c Config) (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.SkipVerify} //nolint:gosec // the operator's own choice, as in Vault's clients
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read VAULT_CACERT: %w", err)
		}
		tc.RootCAs = x509.NewCertPool()
		if !tc.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("VAULT_CACERT %s holds no certificate", c.CACert)
		}
	}
	if c.ClientCert == "" {
		return tc, nil
	}
	if _, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey); err != nil {
		return nil, fmt.Errorf("read VAULT_CLIENT_CERT: %w", err)
	}
	// Read for each handshake, so that a renewed certificate is used at once.
	tc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		return &cert, err
	}
	return tc, nil
}
