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
	leases  bool   // the answer must have a lease

	to *url.URL // where a standby says that the active node is, nil for the configured one
}

func (r request) readOnly() bool { return !r.mints && (r.method == get || r.safe) }

// maxReply bounds what is read of one reply of Vault, in bytes. Vault's own
// request limit is 32 MiB.
const maxReply = 32 << 20

// send sends a request with the token of a cell. When Vault no longer knows the
// token and another can be had, the request is sent once more: Vault has done
// nothing for the dead one.
func (c *Client) send(ctx context.Context, cell *credential.Cell, r request, a *answer) (err error) {
	t, err := cell.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	if cell == c.root {
		defer func() { c.accepted(err) }()
	}
	r.token = t.Value
	err = c.roundTrip(ctx, r, a)
	if !call.Is(err, call.VaultAuth) || cell == c.root && !c.login.renews() {
		return err
	}
	cell.Drop(t.Value)
	if t, err = cell.Token(ctx); err != nil {
		return tokenFailed(err)
	}
	r.token = t.Value
	return c.roundTrip(ctx, r, a)
}

// roundTrip sends a request and decodes the whole answer into a; nil needs nothing of
// it. A read is tried a second time when its connection broke; nothing else is
// ever sent twice. Errors are *call.Error.
func (c *Client) roundTrip(ctx context.Context, r request, a *answer) error {
	if a == nil {
		a = &answer{}
	}
	err := c.pass(ctx, r, a)
	if r.readOnly() && errors.Is(err, errBroken) && ctx.Err() == nil {
		err = c.pass(ctx, r, a)
	}
	return err
}

// pass sends a request when it is its turn and Vault is there. A change that is sent
// outlives its caller: it goes on to its own deadline, in its place, so that what came
// of it is known and on record.
func (c *Client) pass(ctx context.Context, r request, a *answer) error {
	if err := c.gate.Enter(ctx, r.caller); err != nil {
		return refused(err)
	}
	defer c.gate.Leave(r.caller)
	if !r.readOnly() {
		if ctx.Err() != nil {
			return refused(ctx.Err()) // it has not been sent, so it need not be
		}
		ctx = context.WithoutCancel(ctx)
	}
	if !c.breaker.Allow() {
		return unavailable(errOpen)
	}
	result, start := breaker.Nothing, time.Now() // a panic says nothing
	defer func() { c.breaker.Done(result, start) }()
	err := c.exchange(ctx, r, a)
	if err == nil || ctx.Err() == nil { // what ended because the caller left says nothing about Vault
		result = verdict(err)
	}
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

// verdict is what a failure says about Vault: only one without an answer counts, and
// one request without an answer may just have been slow.
func verdict(err error) breaker.Result {
	switch e := call.AsError(err); {
	case e == nil:
		return breaker.OK
	case errors.Is(err, errAnswered):
		return breaker.OK
	case errors.Is(err, errUnanswered):
		return breaker.Silent
	case e.Code == call.VaultUnavailable:
		return breaker.Failed
	case e.Code == call.Canceled:
		return breaker.Nothing
	default:
		return breaker.OK
	}
}

// aliveTimeout bounds the question whether Vault answers at all.
const aliveTimeout = 2 * time.Second

// alive reports whether Vault answers the cheapest request that needs all of it
// (auth/token/lookup-self, Vault API). A status of 5xx is no answer.
func (c *Client) alive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), min(c.timeout, aliveTimeout))
	defer cancel()
	r := request{method: get, path: "auth/token/lookup-self", token: c.root.Peek().Value}
	return verdict(c.exchange(ctx, r, &answer{})) == breaker.OK
}

// exchange is one request and its whole answer, and once more when a standby has
// said where to go.
func (c *Client) exchange(ctx context.Context, r request, a *answer) error {
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
		return decode(parent, r, resp, a)
	}
	if r, err = c.redirected(ctx, r, resp, stay); err != nil {
		return err
	}
	return c.exchange(parent, r, a)
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

// decode reads the whole answer and checks that it has what the request needs.
func decode(ctx context.Context, r request, resp *api.Response, a *answer) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err == nil && len(raw) > maxReply {
		return incomplete(r, errors.New("it is too long"))
	}
	if err != nil {
		return mapError(failure{err: err, req: r, sent: true, gone: errors.Is(ctx.Err(), context.Canceled)})
	}
	if err := a.decode(resp.StatusCode, raw); err != nil {
		return incomplete(r, err)
	}
	return nil
}
