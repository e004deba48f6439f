package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Base is what all requests to one Vault have in common.
type Base struct {
	address   url.URL
	prefix    string // of every path
	namespace string // "" for none
}

// NewBase is the base for Vault's address, a URL, and a namespace of Vault Enterprise.
func NewBase(address, namespace string) (Base, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return Base{}, errors.New("the address of Vault is not an http or https URL")
	}
	return Base{address: *u, prefix: strings.TrimSuffix(u.Path, "/") + "/v1/", namespace: namespace}, nil
}

// yes is the value of headers that switch something on. Nobody changes it.
var yes = []string{"true"}

// NewRequest is a request as Vault's HTTP API has it, for what vault/api would send as
// well: GET and PUT. A path of the request is escaped and never cleaned: it has been
// decided on as it is. stay says that a standby must not forward it.
func (b *Base) NewRequest(ctx context.Context, r *Request, stay bool) *http.Request {
	u := &url.URL{Scheme: b.address.Scheme, Host: b.address.Host, Path: b.prefix + r.Path}
	if len(r.Query) > 0 {
		u.RawQuery = r.Query.Encode()
	}
	if r.Node != nil {
		u.Scheme, u.Host = r.Node.Scheme, r.Node.Host
	}
	req := (&http.Request{
		Method: http.MethodGet, URL: u, Header: b.header(r, stay),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if r.Method != Get {
		req.Method = http.MethodPut
	}
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req
}

// header has one list of values for all of its fields, which are known beforehand.
func (b *Base) header(r *Request, stay bool) http.Header {
	h, values := make(http.Header, 8), make([]string, 0, 4)
	set := func(name, value string) {
		if value != "" {
			values = append(values, value)
			h[name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	h["X-Vault-Request"] = yes
	set("X-Vault-Token", r.Token)
	set("X-Vault-Namespace", b.namespace)
	set("X-Vault-Wrap-Ttl", r.WrapTTL)
	set("X-Correlation-Id", r.ID) // Vault puts it into its audit log unasked
	if stay {
		h["X-Vault-No-Request-Forwarding"] = yes
	}
	return h
}
