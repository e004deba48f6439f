package vaultapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// Prefix begins the paths of the API.
const Prefix = "/v1/"

// API serves Vault's API. Every field must be set.
type API struct {
	Catalogue *op.Catalogue
	Do        func(context.Context, *op.Request) (*op.Result, error)
	// Admit charges for a request that is no operation and makes the gateway keep nothing, and
	// puts on record why it is refused (pipeline.Admit). Change does one that does, on record
	// (pipeline.Change).
	Admit  func(context.Context, *op.Request) error
	Change func(context.Context, *op.Request, func(context.Context) error) error
	// May reports whether a call could be allowed; nothing is done. Its error says that the
	// arguments do not bind.
	May func(context.Context, *op.Request) (bool, error)
	// Wrapped says of an answer that was wrapped for a caller where and when that was and
	// for how long; ok is false for one that is not the caller's, was used or has ended.
	Wrapped func(*call.Caller, call.Secret) (path string, at time.Time, ttl time.Duration, ok bool)
	// Ready says why Vault cannot be reached, nil when it can.
	Ready    func(context.Context) error
	Sessions *Sessions

	Events    *events.Log                       // nil for none
	Topics    func(*call.Caller) []events.Topic // that a caller may receive
	KeepAlive time.Duration                     // between two signs of life of a subscription
	Open      *sync.WaitGroup                   // the subscriptions whose end is not said yet

	// refused answers a request whose credential is not good, as everywhere else.
	refused func(http.ResponseWriter, *http.Request, *call.Error)
	samples []jsontext.Value // of bodies, see capabilities
	table   []route
	system  []question
	places  []located // the mounts that paths begin with
}

// Mount adds the routes.
func (a *API) Mount(e *edge.Edge) {
	a.table, a.system, a.places, a.refused, a.samples = a.routes(), a.questions(), mountsOf(a.Catalogue), e.Refuse, samples()
	for method := range methods() {
		e.Either(method, Prefix+"*path", a.public, a.serve)
	}
}

// public reports whether a request needs no credential: a login, and what a client asks
// before it has one.
func (a *API) public(r *http.Request, path string) bool {
	s, _ := a.ask(&request{verb: verbOf(r), path: strings.Trim(path, "/")})
	return s != nil && s.public
}

// unknown is the operation in evidence of a request that leads to none.
const unknown = "vault.unknown"

func (a *API) serve(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	q, err := parse(r, c)
	s, known := a.ask(q)
	if c == nil && (s == nil || !s.public) { // whatever let it in
		a.refused(w, r, call.AsError(call.Errorf(call.Unauthenticated, "a token is needed")))
		return
	}
	if s != nil {
		a.answer(w, q, s, err)
		return
	}
	row, missed := a.find(q)
	if known {
		missed = call.Errorf(call.MethodNotAllowed, "unsupported operation")
	}
	if missed != nil {
		a.refuse(w, q, missed)
		return
	}
	a.do(w, q, row, err)
}

// refuse refuses what is in no table, on record.
func (a *API) refuse(w http.ResponseWriter, q *request, err error) {
	WriteError(w, a.Admit(q.http.Context(), &op.Request{ID: q.id, Transport: op.VaultAPI, Op: unknown, Caller: q.caller, Bad: err}), "")
}

// do makes the call of an operation. bad is why the request cannot be read.
func (a *API) do(w http.ResponseWriter, q *request, row *route, bad error) {
	o := &op.Request{
		ID: q.id, Transport: op.VaultAPI, Op: row.op, Caller: q.caller, Mount: q.mount.Path, Absolute: true, Bad: bad, Room: edge.Share(w),
		Client: op.ClientNamed(q.http.UserAgent(), "", ""),
		Trace:  op.Trace{Parent: q.http.Header.Get("Traceparent"), State: q.http.Header.Get("Tracestate")},
	}
	if o.Bad == nil {
		o.Args, o.Bad = row.arguments(q)
	}
	if o.Bad == nil {
		o.Deliver, o.WrapTTL, o.Bad = delivery(q.http.Header)
	}
	res, err := a.Do(q.http.Context(), o)
	w.Header().Set("X-Decision-Id", res.DecisionID)
	if err != nil {
		WriteError(w, asVault(q, row.op, err), res.DecisionID)
		return
	}
	answer, err := row.answer(q, res)
	if err != nil {
		WriteError(w, call.Wrap(call.Internal, "internal error", err), res.DecisionID)
		return
	}
	send(w, q, answer)
}

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// delivery reads X-Vault-Wrap-TTL, seconds or a duration.
func delivery(h http.Header) (call.Deliver, time.Duration, error) {
	text, err := edge.Once(h, "X-Vault-Wrap-TTL")
	if text = strings.TrimSpace(text); err != nil || text == "" || text == "0" {
		return "", 0, err
	}
	ttl, err := duration(text)
	if err != nil || ttl < time.Second || ttl > maxWrapTTL {
		return "", 0, call.Errorf(call.InvalidRequest, "header X-Vault-Wrap-TTL: not a duration from 1s to 24h")
	}
	return call.Wrapped, ttl, nil
}

var errDuration = errors.New("no duration")

// duration is a number of seconds, or a duration such as 30m or 2d.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := duration(days)
		if err != nil || d > 10*365*time.Second {
			return 0, errDuration
		}
		return d * 24 * 3600, nil
	}
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	return time.ParseDuration(text)
}
