// Package vault is the only way to HashiCorp Vault: a session is opened with a
// call.Grant and nothing else, uses the token that belongs to the granted caller,
// and reaches the granted mount alone.
package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// Config says where Vault is and how the gateway proves itself to it.
type Config struct {
	Addr      string        // http(s)://host:port
	Namespace string        // Vault Enterprise, empty for none
	Timeout   time.Duration // of one request, from first byte sent to last byte read

	CACert, ClientCert, ClientKey string // PEM files, empty for the system's roots and no certificate
	ServerName                    string
	SkipVerify                    bool

	Token    string // a token, or
	RoleID   string // an AppRole
	SecretID string

	Book Book // where the gateway notes whose lease is whose; empty: it can issue none
}

// dialTimeout bounds connecting, so that a dead Vault is known within a second.
const dialTimeout = 700 * time.Millisecond

// maxReply bounds what is read of one reply of Vault, in bytes. Vault's own
// request limit is 32 MiB.
const maxReply = 32 << 20

// Client talks to one Vault. Its base client is never changed after New, so it
// is safe for use by many goroutines.
type Client struct {
	base     *api.Client // has no token
	identity *identity
	timeout  time.Duration
	book     Book
}

// New makes a client. It does not connect.
func New(c Config) (*Client, error) {
	base, err := newBase(c)
	if err != nil {
		return nil, err
	}
	cl := &Client{base: base, timeout: c.Timeout, book: c.Book}
	cl.identity = newIdentity(c, cl)
	return cl, nil
}

// newBase makes the immutable client. vault/api reads many environment variables
// by itself (token, namespace, headers, wrap TTL, rate limit, proxy); each is
// overridden, so that none of them leaks into callers' requests.
func newBase(c Config) (*api.Client, error) {
	tr, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("read Vault's environment variables: %w", cfg.Error)
	}
	cfg.Address, cfg.AgentAddress = c.Addr, ""
	cfg.HttpClient = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cfg.MaxRetries, cfg.Limiter, cfg.Timeout, cfg.SRVLookup = 0, nil, 0, false
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

func newTransport(c Config) (*http.Transport, error) {
	tc, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
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
	if c.ClientCert != "" {
		cert, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("read VAULT_CLIENT_CERT: %w", err)
		}
		tc.Certificates = []tls.Certificate{cert}
	}
	return tc, nil
}

// errNotReady says why Ready is not ready.
var errNotReady = errors.New("vault is sealed or not initialized")

// Ready reports whether Vault is reachable, unsealed, and accepts the gateway's
// own token (sys/health, Vault API). The error is for the log; its class is
// public through call.AsError.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	h, err := c.base.Sys().HealthWithContext(ctx)
	if err != nil {
		return unavailable(err)
	}
	if h.Sealed || !h.Initialized {
		return unavailable(errNotReady)
	}
	_, err = c.identity.token(ctx)
	return err
}

// Close gives the gateway's own token back, when it was got by logging in.
func (c *Client) Close(ctx context.Context) error { return c.identity.close(ctx) }
