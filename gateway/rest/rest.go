// Package rest derives the REST routes from the catalogue. A request becomes an
// op.Request and goes through the pipeline like any other call.
package rest

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// API mounts the operations of a catalogue.
type API struct {
	Do func(context.Context, *op.Request) (*op.Result, error)
	// Admit charges for a request that is no call, puts it on record and returns what it
	// is answered with. Optional.
	Admit func(context.Context, *op.Request) error
	// Challenge returns the value of WWW-Authenticate for a refusal, empty for none. Optional.
	Challenge func(*http.Request, *call.Error) string
	// Limits tells a caller of the bucket that its call has charged. Optional.
	Limits func(http.Header, *call.Caller, *op.Result)
}

// Mount adds a route for every operation that declares one. What can be got can be
// asked for its head. Two operations on one route are an error.
func (a *API) Mount(e *edge.Edge, c *op.Catalogue) error {
	routes, err := routesOf(c)
	if err != nil {
		return err
	}
	for _, r := range routes {
		h := func(w http.ResponseWriter, req *http.Request, caller *call.Caller) { a.serve(w, req, caller, r) }
		e.Handle(r.method, r.pattern, h)
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.pattern, h)
		}
	}
	return nil
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, c *call.Caller, rt *route) {
	o, path, err := rt.pick(r.PathValue(rt.parameter), r.PathValue("verb"))
	if err != nil {
		if err = a.missed(r, c, err); call.Is(err, call.MethodNotAllowed) {
			w.Header().Set("Allow", rt.allow)
		}
		edge.WriteError(w, err, "")
		return
	}
	q := &op.Request{
		ID: r.Header.Get("X-Request-Id"), Transport: op.REST, Op: o.Name, Caller: c, Room: edge.Share(w),
		Trace: op.Trace{Parent: r.Header.Get("Traceparent"), State: r.Header.Get("Tracestate")},
	}
	if q.Args, q.Bad = arguments(r, o, path); q.Bad == nil {
		q.Deliver, q.WrapTTL, q.Bad = delivery(r.Header)
	}
	if q.Bad == nil {
		q.Reason, q.Bad = stated(r.Header)
	}
	q.Client = client(r.Header)
	res, err := a.Do(r.Context(), q)
	if a.Limits != nil && res.DecisionID != "" {
		a.Limits(w.Header(), c, res)
	}
	if err != nil {
		a.fail(w, r, call.AsError(err), res.DecisionID)
		return
	}
	w.Header().Set("X-Decision-Id", res.DecisionID)
	cached(w.Header(), res)
	if tagged(w.Header(), o, res) && unchanged(r, res) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if res.Status == http.StatusNoContent {
		w.WriteHeader(res.Status)
		return
	}
	if edge.WriteJSON(w, max(res.Status, http.StatusOK), res.Body) {
		res.Done() // over HTTP/2 a write that has failed may still be under way
	}
}

// Missed is the operation in evidence of a request that leads to none.
const Missed = "rest.unknown"

// missed puts a request on record that leads to no operation.
func (a *API) missed(r *http.Request, c *call.Caller, err error) error {
	if a.Admit == nil {
		return err
	}
	return a.Admit(r.Context(), &op.Request{ID: r.Header.Get("X-Request-Id"), Transport: op.REST, Op: Missed, Caller: c, Bad: err})
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, e *call.Error, decisionID string) {
	if a.Challenge != nil {
		if v := a.Challenge(r, e); v != "" {
			w.Header().Set("WWW-Authenticate", v)
		}
	}
	if e.Code == call.CASMismatch && conditional(r.Header) {
		edge.WriteErrorStatus(w, http.StatusPreconditionFailed, e, decisionID)
		return
	}
	edge.WriteError(w, e, decisionID)
}

// arguments makes the operation's arguments, one JSON object, from the parameter
// of the path, the query and the body. A name that comes twice is refused when
// the object is bound.
func arguments(r *http.Request, o *op.Op, path string) ([]byte, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	b := []byte{'{'}
	name := edge.Parameter(o.Path)
	if name == "" && path != "" {
		name = "prefix" // of a listing whose full path is in the URL
	}
	if name != "" {
		if b, err = appendString(append(b, '"'), name, path); err != nil {
			return nil, err
		}
	}
	if o.Headers != "" {
		b = appendHeaders(b, r, o.Headers)
	}
	if b, err = appendQuery(b, r, o); err != nil {
		return nil, err
	}
	if b, err = appendCondition(b, r, o); err != nil {
		return nil, err
	}
	if len(body) > 0 {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, body...)
	}
	return append(b, '}'), nil
}

// appendHeaders appends the names of the request's headers as an argument. Values
// do not even get into it: some are credentials.
func appendHeaders(b []byte, r *http.Request, name string) []byte {
	names := map[string]string{}
	for h := range r.Header {
		names[strings.ToLower(h)] = call.Redacted
	}
	raw, err := json.Marshal(names, json.Deterministic(true))
	if err != nil {
		raw = []byte("{}") // header names are ASCII, so this cannot happen
	}
	return append(append(append(append(b, '"'), name...), `":`...), raw...)
}

// readBody returns the members of the body's JSON object, without its braces.
func readBody(r *http.Request) ([]byte, error) {
	if !hasBody(r.Method) {
		if r.ContentLength != 0 {
			return nil, call.Errorf(call.InvalidRequest, "this route takes no body")
		}
		return nil, nil
	}
	raw, err := edge.ReadBody(r)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !jsonType(t) {
		return nil, call.Errorf(call.UnsupportedMediaType, "the body must be application/json")
	}
	if err := op.CheckJSON(raw); err != nil {
		return nil, err
	}
	v := jsontext.Value(raw)
	if v.Kind() != '{' {
		return nil, call.Errorf(call.InvalidRequest, "the body is not a JSON object")
	}
	if err := v.Compact(); err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the body is not valid JSON")
	}
	return v[1 : len(v)-1], nil
}

// hasBody reports whether the arguments of a method come in its body; those of the
// others come in the query.
func hasBody(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodDelete
}

func jsonType(t string) bool {
	return t == "application/json" || (strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}

var integerRE = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

// appendQuery appends the query's parameters. Whether they are arguments, and of which
// type, is found when they are bound; repeated ones are refused.
func appendQuery(b []byte, r *http.Request, o *op.Op) ([]byte, error) {
	if r.URL.RawQuery == "" {
		return b, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the query of the URL cannot be parsed")
	}
	if hasBody(r.Method) {
		return nil, call.Errorf(call.InvalidRequest, "%s takes its arguments in the body, as JSON, and not in the query", r.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if len(q[name]) != 1 {
			return nil, call.Errorf(call.InvalidRequest, "a query parameter is given more than once")
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		if b, err = appendParameter(b, name, q.Get(name), o.In.Properties[name]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendParameter(b []byte, name, v string, p *jsonschema.Schema) ([]byte, error) {
	b, err := jsontext.AppendQuote(b, name)
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the query of the URL is not valid UTF-8")
	}
	if p != nil && p.Type == "integer" && integerRE.MatchString(v) {
		return append(append(b, ':'), v...), nil
	}
	if b, err = jsontext.AppendQuote(append(b, ':'), v); err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the query of the URL is not valid UTF-8")
	}
	return b, nil
}

func appendString(b []byte, name, v string) ([]byte, error) {
	b = append(append(b, name...), '"', ':')
	b, err := jsontext.AppendQuote(b, v)
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "argument %s: not valid UTF-8", name)
	}
	return b, nil
}
