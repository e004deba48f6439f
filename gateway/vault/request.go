package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
)

type method int

const (
	get method = iota
	put
	post
	patch
	del
)

// request is one HTTP request to Vault, its path below /v1/.
type request struct {
	method method
	path   string
	query  url.Values
	body   []byte
	token  string
	safe   bool // changes nothing although it is not a GET
	mints  bool // makes something although it is a GET
}

func (r request) readOnly() bool { return !r.mints && (r.method == get || r.safe) }

// roundTrip sends a request and decodes the whole reply into out, which may be
// nil. A read is tried a second time when its connection broke; nothing else is
// ever sent twice. Errors are *call.Error.
func (c *Client) roundTrip(ctx context.Context, r request, out any) error {
	err := c.once(ctx, r, out)
	if r.readOnly() && errors.Is(err, errBroken) && ctx.Err() == nil {
		err = c.once(ctx, r, out)
	}
	return err
}

func (c *Client) once(ctx context.Context, r request, out any) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	resp, err := c.issue(ctx, r)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err != nil {
		return mapError(failure{err: err, resp: resp, req: r, sent: sent.Load(), gone: parent.Err() != nil})
	}
	return decode(ctx, r, resp, out)
}

// issue sends the request through vault/api with the request's own token.
func (c *Client) issue(ctx context.Context, r request) (*api.Response, error) {
	l := c.base.WithRequestCallbacks(func(req *api.Request) {
		req.ClientToken = r.token
		if r.method == patch {
			req.Headers.Set("Content-Type", "application/merge-patch+json") // RFC 7396; vault/api says SCIM
		}
	}).Logical()
	switch r.method {
	case get:
		return l.ReadRawWithDataWithContext(ctx, r.path, r.query)
	case patch:
		return l.PatchRawWithContext(ctx, r.path, r.body)
	case del:
		return l.DeleteRawWithContext(ctx, r.path)
	default:
		return l.WriteRawWithContext(ctx, r.path, r.body)
	}
}

func decode(ctx context.Context, r request, resp *api.Response, out any) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil || len(raw) > maxReply {
		return mapError(failure{err: errors.Join(err, errBroken), req: r, sent: true, gone: errors.Is(ctx.Err(), context.Canceled)})
	}
	if out == nil || resp.StatusCode == http.StatusNoContent || len(raw) == 0 {
		return nil
	}
	if text, ok := out.(*string); ok {
		*text = string(raw)
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return call.Wrap(call.VaultError, "Vault error", errors.New("decode Vault's reply"))
	}
	return nil
}
