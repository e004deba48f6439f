package keyset

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxDocument bounds what is read of a response.
const maxDocument = 1 << 20

// maxNamed bounds an address in a discovery document, and what is quoted of one, in bytes.
const maxNamed = 2048

// fetchTimeout bounds one fetch.
const fetchTimeout = 5 * time.Second

// Client returns the client that keys are fetched with: it follows no redirects,
// because the address is what the operator trusts.
func Client() *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: fetchTimeout,
			MaxIdleConns:        4,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// CheckURL holds an address to https; plain http is for this machine only. Who
// can change keys on their way can be everybody.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is not an address", s)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q: want https", s)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func get(ctx context.Context, c *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: status %d", address, res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("fetch %s: larger than %d bytes", address, maxDocument)
	}
	return data, nil
}

// discover finds the key set of an issuer (OpenID Connect Discovery section 4).
// The document must name the very issuer that was asked for, or its keys are
// somebody else's.
func discover(ctx context.Context, c *http.Client, issuer string) (string, error) {
	data, err := get(ctx, c, strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(trimBOM(data), &doc); err != nil {
		return "", errors.New("the discovery document is not JSON")
	}
	if doc.Issuer != issuer {
		return "", fmt.Errorf("the discovery document is of issuer %.2048q, not of %q: configure the issuer exactly as the document writes it", doc.Issuer, issuer)
	}
	if len(doc.JWKSURI) > maxNamed {
		return "", errors.New("jwks_uri: too long")
	}
	if err := CheckURL(doc.JWKSURI); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(doc.JWKSURI, "https:") {
		return "", errors.New("jwks_uri: not https as the issuer is")
	}
	return doc.JWKSURI, nil
}
