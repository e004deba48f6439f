package vault

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/retry/breaker"
	"portcullis/gateway/vault/wire"
)

// attempt is a request on its way, from its admission to its end. It holds a place at the
// gate from begin to leave, and is sent again as long as there is a reason to.
type attempt struct {
	client  *Client
	caller  context.Context // of whoever waits for the answer
	request wire.Request
	answer  *wire.Answer // nil when nothing is needed of it
	err     error        // what came of it

	ctx      context.Context // of what is sent, with a deadline
	cancel   context.CancelFunc
	parent   context.Context // of ctx; for a change it does not end with the caller
	admitted bool
	start    time.Time   // of its admission
	sent     atomic.Bool // a connection was had, so Vault may have seen the request
	stay     bool        // a standby shall not forward it
	began    bool
	again    bool // begin once more
	retried  bool // after a broken connection
	large    bool // the answer was
	connect  connectTry
}

// begin prepares what is sent next. It returns false when there is nothing to send: the
// attempt has ended, or it was not admitted.
func (t *attempt) begin() bool {
	if t.began && !t.again {
		return false
	}
	t.began, t.again = true, false
	if !t.admitted {
		if t.err = t.admit(); t.err != nil {
			return false
		}
	}
	t.connect.begin()
	t.ctx, t.cancel = context.WithTimeout(t.parent, t.client.timeout)
	// net/http replaces a connection that turns out dead before a byte was written, and
	// then asks for another one.
	t.ctx = httptrace.WithClientTrace(t.ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { t.sent.Store(true); t.request.Counts.Sent() },
	})
	if !t.request.ReadOnly() {
		t.ctx = context.WithValue(t.ctx, onceKey{}, true)
	}
	t.stay = !t.request.ReadOnly() && t.client.standby.redirects()
	return true
}

// admit waits for a place and asks the breaker. A change outlives its caller from here
// on: it goes on to its own deadline, in its place, so that its outcome is known and
// recorded.
func (t *attempt) admit() error {
	c, r := t.client, &t.request
	t.parent = t.caller
	if r.Probe {
		return nil
	}
	if err := c.gate.Enter(t.caller, r.Caller); err != nil {
		return gate.Refused(err, noPlace)
	}
	if !r.ReadOnly() {
		if t.caller.Err() != nil {
			c.gate.Leave(r.Caller)
			return gate.Refused(t.caller.Err(), noPlace) // it has not been sent, so it need not be
		}
		t.parent = context.WithoutCancel(t.caller)
	}
	if !c.breaker.Allow() {
		c.gate.Leave(r.Caller)
		return unavailable(errOpen)
	}
	t.admitted, t.start = true, time.Now()
	return nil
}

// leave gives the place back and tells the breaker the result, once.
func (t *attempt) leave(result breaker.Result) {
	if !t.admitted {
		return
	}
	t.admitted = false
	t.client.meters.request(t.request, t.err, time.Since(t.start))
	t.client.settle(result, t.start)
	switch g := t.client.gate; {
	case t.large || len(t.request.Body) >= smallReply:
		g.LeaveLarge(t.request.Caller, time.Since(t.start))
	case t.parent.Err() != nil:
		g.GiveUp(t.request.Caller, time.Since(t.start))
	default:
		g.Leave(t.request.Caller)
	}
}

// settle tells the breaker what came of a request, and logs once that Vault is away or
// back.
func (c *Client) settle(r breaker.Result, start time.Time) {
	c.breaker.Done(r, start)
	away := c.breaker.Open()
	if c.away.Swap(away) == away {
		return
	}
	if !away {
		c.log.Info("Vault is back")
		return
	}
	opened.Inc()
	c.log.Error("Vault is away: calls are refused at once, and one in a second tries again; check VAULT_ADDR and whether Vault runs and is unsealed", "vault", c.base.Address())
}

// send sends the request. Reads and writes, which calls wait for, are built here;
// everything else is vault/api's.
func (t *attempt) send() (*api.Response, error) {
	r := &t.request
	switch r.Method {
	case wire.Patch:
		return t.logical().PatchRawWithContext(t.ctx, r.Path, r.Body)
	case wire.Delete:
		return t.logical().DeleteRawWithContext(t.ctx, r.Path)
	}
	resp, err := t.client.http.RoundTrip(t.client.wire.NewRequest(t.ctx, r, t.stay)) //nolint:bodyclose // end closes it
	if err != nil {
		return nil, err
	}
	answer := &api.Response{Response: resp}
	return answer, answer.Error()
}

// logical is vault/api with the request's own headers. Vault puts X-Correlation-Id into
// its audit log unasked (Vault API, sys/config/auditing).
func (t *attempt) logical() *api.Logical {
	r := &t.request
	return t.client.base.WithRequestCallbacks(func(req *api.Request) {
		req.ClientToken, req.WrapTTL = r.Token, r.WrapTTL
		if r.Node != nil {
			req.URL.Scheme, req.URL.Host = r.Node.Scheme, r.Node.Host
		}
		if t.stay {
			req.Headers.Set("X-Vault-No-Request-Forwarding", "true")
		}
		if r.ID != "" {
			req.Headers.Set("X-Correlation-Id", r.ID)
		}
		if r.Method == wire.Patch {
			req.Headers.Set("Content-Type", "application/merge-patch+json") // vault/api names another type, which KV refuses
		}
	}).Logical()
}

// end reads the answer, and decides whether the request is sent again.
func (t *attempt) end(resp *api.Response, err error) {
	defer t.cancel()
	t.request.Counts.Answered(resp, err)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	redirected := err == nil && resp.StatusCode >= http.StatusMultipleChoices
	switch {
	case err != nil:
		t.err = mapError(failure{err: err, resp: resp, req: t.request, sent: t.sent.Load(), gone: t.callerGone()})
	case redirected:
		t.request, t.err = t.client.redirected(t.ctx, t.request, resp, t.stay)
	default:
		t.err = t.decode(resp)
	}
	if t.again = redirected && t.err == nil || t.connectAgain(err); t.again {
		return // in the same place
	}
	result := breaker.Nothing
	if t.err == nil || t.parent.Err() == nil { // what ended because the caller left says nothing about Vault
		result = verdict(t.err)
	}
	t.leave(result)
	t.again = t.request.ReadOnly() && !t.request.Probe && !t.retried && errors.Is(t.err, errBroken) && t.caller.Err() == nil
	t.retried = t.retried || t.again
}

func (t *attempt) callerGone() bool { return errors.Is(t.parent.Err(), context.Canceled) }

// decode reads the whole answer and checks that it has what the request needs.
func (t *attempt) decode(resp *api.Response) error {
	room := asking(t.request.Room)
	if room == nil && longest(t.request) == maxReply {
		var leave func()
		room, leave = t.client.ownRoom(t.request.Caller)
		defer leave()
	}
	raw, done, err := t.client.buffers.read(t.caller, resp.Body, longest(t.request), func(ctx context.Context, n int64) error {
		t.large = true // also when there is no room
		if room == nil {
			return nil
		}
		return room(ctx, n)
	})
	if noRoom, ok := errors.AsType[*call.Error](err); ok {
		return noRoom
	}
	if errors.Is(err, errTooLong) {
		return wire.Incomplete(t.request, err)
	}
	if err != nil {
		return mapError(failure{err: err, req: t.request, sent: true, gone: t.callerGone()})
	}
	if t.large {
		_ = gate.Of(t.caller).Enter(t.caller) // what is there is not refused
	}
	if t.answer == nil {
		t.answer = &wire.Answer{}
	}
	if err := t.answer.Decode(resp.StatusCode, raw); err != nil {
		done()
		return wire.Incomplete(t.request, err)
	}
	t.answer.Free(raw, done)
	return nil
}

// errOpen says that Vault was not even tried.
var errOpen = errors.New("circuit breaker is open")

// noPlace is what a request is answered with for which Vault has no place.
const noPlace = "too many requests to Vault at once"

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
	r := wire.Request{Method: wire.Get, Path: "auth/token/lookup-self", Token: c.root.Peek().Value, Probe: true}
	return verdict(c.exchange(ctx, r, nil)) == breaker.OK
}
