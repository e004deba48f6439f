package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/breaker"
	"portcullis/gateway/vault/credential"
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
	method  method
	path    string
	query   url.Values
	body    []byte
	token   string
	caller  string // key of the caller that it is sent for, empty for the gateway itself
	id      string // decision id, which Vault writes into its audit log
	wrapTTL string // not empty: Vault wraps its answer
	safe    bool   // changes nothing although it is not a GET
	mints   bool   // makes something although it is a GET

	to *url.URL // where a standby says that the active node is, nil for the configured one
}

func (r request) readOnly() bool { return !r.mints && (r.method == get || r.safe) }

// maxReply bounds what is read of one reply of Vault, in bytes. Vault's own
// request limit is 32 MiB.
const maxReply = 32 << 20

// send sends a request with the token of a cell. When Vault no longer knows the
// token and another can be had, the request is sent once more: Vault has done
// nothing for the dead one.
func (c *Client) send(ctx context.Context, cell *credential.Cell, r request, out any) (err error) {
	t, err := cell.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	if cell == c.root {
		defer func() { c.accepted(err) }()
	}
	r.token = t.Value
	err = c.roundTrip(ctx, r, out)
	if !call.Is(err, call.VaultAuth) || cell == c.root && !c.login.renews() {
		return err
	}
	cell.Drop(t.Value)
	if t, err = cell.Token(ctx); err != nil {
		return tokenFailed(err)
	}
	r.token = t.Value
	return c.roundTrip(ctx, r, out)
}

// roundTrip sends a request and decodes the whole reply into out, which may be
// nil. A read is tried a second time when its connection broke; nothing else is
// ever sent twice. Errors are *call.Error.
func (c *Client) roundTrip(ctx context.Context, r request, out any) error {
	err := c.pass(ctx, r, out)
	if r.readOnly() && errors.Is(err, errBroken) && ctx.Err() == nil {
		err = c.pass(ctx, r, out)
	}
	return err
}

// pass sends a request when it is its turn and Vault is there.
func (c *Client) pass(ctx context.Context, r request, out any) error {
	if err := c.gate.Enter(ctx, r.caller); err != nil {
		return refused(err)
	}
	defer c.gate.Leave(r.caller)
	if !c.breaker.Allow() {
		return unavailable(errOpen)
	}
	result, start := breaker.Nothing, time.Now() // a panic says nothing
	defer func() { c.breaker.Done(result, start) }()
	err := c.exchange(ctx, r, out)
	result = verdict(err)
	return err
}

// errOpen says that Vault was not even tried.
var errOpen = errors.New("circuit breaker is open")

// refused maps why a request did not get its turn.
func refused(err error) error {
	if errors.Is(err, context.Canceled) {
		return call.Wrap(call.Canceled, "the caller has gone away", err)
	}
	e := call.Wrap(call.Overloaded, "too many requests to Vault at once", err)
	e.RetryAfter = time.Second
	return e
}

// verdict is what a failure says about Vault: only one without an answer counts.
func verdict(err error) breaker.Result {
	switch e := call.AsError(err); {
	case e == nil:
		return breaker.OK
	case e.Code == call.VaultUnavailable, e.Code == call.VaultTimeout, e.Code == call.OutcomeUnknown:
		return breaker.Failed
	case e.Code == call.Canceled:
		return breaker.Nothing
	default:
		return breaker.OK
	}
}

// exchange is one request and its whole reply, and once more when a standby has
// said where to go.
func (c *Client) exchange(ctx context.Context, r request, out any) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// A connection that turns out dead before a byte was written is replaced by
	// net/http; then it begins anew.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	if !r.readOnly() {
		ctx = context.WithValue(ctx, onceKey{}, true)
	}
	stay := !r.readOnly() && c.standby.redirects()
	resp, err := c.issue(ctx, r, stay)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err != nil {
		return mapError(failure{err: err, resp: resp, req: r, sent: sent.Load(), gone: errors.Is(parent.Err(), context.Canceled)})
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return decode(parent, r, resp, out)
	}
	if r, err = c.standby.redirect(r, resp, stay); err != nil {
		return err
	}
	return c.exchange(parent, r, out)
}

// issue sends the request through vault/api with the request's own headers. Vault
// puts X-Correlation-Id into its audit log unasked (Vault API,
// sys/config/auditing). One that is to stay is not forwarded by a standby.
func (c *Client) issue(ctx context.Context, r request, stay bool) (*api.Response, error) {
	l := c.base.WithRequestCallbacks(func(req *api.Request) {
		req.ClientToken, req.WrapTTL = r.token, r.wrapTTL
		if r.to != nil {
			req.URL.Scheme, req.URL.Host = r.to.Scheme, r.to.Host
		}
		if stay {
			req.Headers.Set("X-Vault-No-Request-Forwarding", "true")
		}
		if r.id != "" {
			req.Headers.Set("X-Correlation-Id", r.id)
		}
		if r.method == patch {
			req.Headers.Set("Content-Type", "application/merge-patch+json") // vault/api names another type, which KV refuses
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
	if err == nil && len(raw) > maxReply {
		return call.Wrap(call.VaultError, "Vault error", errors.New("reply of Vault is too long"))
	}
	if err != nil {
		return mapError(failure{err: err, req: r, sent: true, gone: errors.Is(ctx.Err(), context.Canceled)})
	}
	if out == nil || len(raw) == 0 {
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
