// Package rest derives the REST routes from the catalogue. A request becomes an
// op.Request and goes through the pipeline like any other call.
package rest

import (
	"context"
	"fmt"
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

// route is one method and pattern, with the operations that share it. Those on a
// catch-all are told apart by the verb behind the last colon, "" for none.
type route struct {
	method, pattern string
	verbs           map[string]*op.Op
	allow           string // the methods that the pattern answers without a verb
}

// Mount adds a route for every operation that declares one. Two operations on one
// route are an error.
func (a *API) Mount(e *edge.Edge, c *op.Catalogue) error {
	routes, err := routesOf(c)
	if err != nil {
		return err
	}
	for _, r := range routes {
		e.Handle(r.method, r.pattern, func(w http.ResponseWriter, req *http.Request, caller *call.Caller) {
			a.serve(w, req, caller, r)
		})
	}
	return nil
}

func routesOf(c *op.Catalogue) ([]*route, error) {
	var routes []*route
	for _, o := range c.All() {
		if o.Path == "" {
			continue
		}
		pattern, verb := o.Path, ""
		if i := strings.Index(o.Path, "/*"); i >= 0 {
			name, v, _ := strings.Cut(o.Path[i:], ":")
			pattern, verb = o.Path[:i]+name, v
		}
		i := slices.IndexFunc(routes, func(r *route) bool { return r.method == o.Method && r.pattern == pattern })
		if i < 0 {
			routes = append(routes, &route{method: o.Method, pattern: pattern, verbs: map[string]*op.Op{}})
			i = len(routes) - 1
		}
		if routes[i].verbs[verb] != nil {
			return nil, fmt.Errorf("%s and %s share a route", o.Name, routes[i].verbs[verb].Name)
		}
		routes[i].verbs[verb] = o
	}
	for _, r := range routes {
		r.allow = plain(routes, r.pattern)
	}
	return routes, nil
}

// plain names the methods that a pattern answers without a verb.
func plain(routes []*route, pattern string) string {
	methods := []string{http.MethodOptions}
	for _, r := range routes {
		if r.pattern == pattern && r.verbs[""] != nil {
			methods = append(methods, r.method)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, c *call.Caller, rt *route) {
	o, path, err := rt.pick(r.PathValue("path"))
	if err != nil {
		if err = a.missed(r, c, err); call.Is(err, call.MethodNotAllowed) {
			w.Header().Set("Allow", rt.allow)
		}
		edge.WriteError(w, err, "")
		return
	}
	q := &op.Request{
		ID: r.Header.Get("X-Request-Id"), Transport: op.REST, Op: o.Name, Caller: c,
		Trace: op.Trace{Parent: r.Header.Get("Traceparent"), State: r.Header.Get("Tracestate")},
	}
	if q.Args, q.Bad = arguments(r, o, path); q.Bad == nil {
		q.Deliver, q.WrapTTL, q.Bad = delivery(r.Header)
	}
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
	if res.Status == http.StatusNoContent {
		w.WriteHeader(res.Status)
		return
	}
	edge.WriteJSON(w, max(res.Status, http.StatusOK), res.Body)
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
	edge.WriteError(w, e, decisionID)
}

// pick finds the operation by the verb of the path's last segment.
func (rt *route) pick(path string) (*op.Op, string, error) {
	verb := ""
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path, verb = path[:i], path[i+1:]
		if verb == "" {
			return nil, "", call.Errorf(call.InvalidRequest, "the path ends in ':'")
		}
	}
	if o := rt.verbs[verb]; o != nil {
		return o, path, nil
	}
	if verb == "" {
		return nil, "", call.Errorf(call.MethodNotAllowed, "this route needs a verb behind the path")
	}
	return nil, "", call.Errorf(call.InvalidRequest, "unknown verb behind the path")
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
	if name := param(o.Path); name != "" {
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

// param names the parameter of a pattern, empty when it has none.
func param(pattern string) string {
	i := strings.IndexAny(pattern, "*")
	if i < 0 {
		if i = strings.Index(pattern, "/:"); i < 0 {
			return ""
		}
		i++
	}
	name, _, _ := strings.Cut(pattern[i+1:], ":")
	return strings.TrimSuffix(name, "/")
}

// readBody returns the members of the body's JSON object, without its braces.
func readBody(r *http.Request) ([]byte, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
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

func jsonType(t string) bool {
	return t == "application/json" || (strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}

var integerRE = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

// appendQuery appends the query's parameters in the types that the schema gives
// them. Unknown and repeated ones are refused.
func appendQuery(b []byte, r *http.Request, o *op.Op) ([]byte, error) {
	if r.URL.RawQuery == "" {
		return b, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the query cannot be parsed")
	}
	for name, values := range q {
		p := o.In.Properties[name]
		if p == nil || r.Method != http.MethodGet && r.Method != http.MethodDelete {
			return nil, call.Errorf(call.InvalidRequest, "unknown query parameter")
		}
		if len(values) != 1 {
			return nil, call.Errorf(call.InvalidRequest, "query parameter %s: given more than once", name)
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		if b, err = appendValue(append(b, '"'), name, values[0], p); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendValue(b []byte, name, v string, p *jsonschema.Schema) ([]byte, error) {
	literal := append(append(b, name...), '"', ':')
	switch {
	case p.Type == "integer" || slices.Contains(p.Types, "integer"):
		if !integerRE.MatchString(v) {
			return nil, call.Errorf(call.InvalidRequest, "query parameter %s: not a whole number", name)
		}
		return append(literal, v...), nil
	case p.Type == "boolean":
		if v != "true" && v != "false" {
			return nil, call.Errorf(call.InvalidRequest, "query parameter %s: not true or false", name)
		}
		return append(literal, v...), nil
	default:
		return appendString(b, name, v)
	}
}

func appendString(b []byte, name, v string) ([]byte, error) {
	b = append(append(b, name...), '"', ':')
	b, err := jsontext.AppendQuote(b, v)
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "argument %s: not valid UTF-8", name)
	}
	return b, nil
}
