package mcp

import (
	"context"
	"math"
	"strconv"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// The operations behind resources.
const (
	opRead = "kv.read"
	opList = "kv.list"
)

// resource is an entry of resources/list.
type resource struct {
	URI         string `json:"uri"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mimeType"`
}

const mimeJSON = "application/json"

// maxRead is how many names a prefix that is read as a resource shows at once; the
// member next of the answer is what to pass as after for more.
const maxRead = 200

// listResources lists what the providers have (resources/list).
func (ex *Exchange) listResources(ctx context.Context, c cursor) (result, error) {
	var all []jsontext.Value
	for _, p := range ex.server.providers {
		if p.Resources == nil {
			continue
		}
		list, err := p.Resources(ctx, ex)
		if err != nil {
			return result{}, err
		}
		all = append(all, list...)
	}
	p, err := ex.page(c, "resources", len(all))
	if err != nil {
		return result{}, err
	}
	items, next := p.take(func(i int) jsontext.Value { return all[i] })
	return result{body: listBody("resources", items, next), cache: true}, nil
}

// listSecrets lists what lies directly below the caller's prefix, by asking the
// pipeline, and the paths elsewhere that it was granted. A caller who may not list has
// no resources, which is not an error. What passes by itself is none either: a client
// that lists its resources when it starts would not start. The list is short then, and
// says why.
func listSecrets(ctx context.Context, ex *Exchange) ([]jsontext.Value, error) {
	o := ex.server.Catalogue.Get(opList)
	if o == nil || !ex.server.Callable(ctx, ex.Caller, o) {
		return nil, ex.paid(ctx)
	}
	root := ex.Caller.Prefix
	keys, cerr := ex.list(ctx, root)
	own := resource{
		URI: ex.server.uri(root, true), Name: "your secrets", Description: "What lies below your own prefix.", MIMEType: mimeJSON,
	}
	switch {
	case cerr == nil || cerr.Code == call.Forbidden || cerr.Code == call.InsufficientScope:
	case cerr.Wait() > 0:
		own.Description += " Not listed now: " + string(cerr.Code) + ", try again in " + seconds(cerr) + " s."
	default:
		return nil, cerr
	}
	out := []jsontext.Value{protocol.MustJSON(own)}
	for _, k := range keys {
		p, err := call.ParsePath(strings.TrimSuffix(k, "/"))
		if err != nil {
			continue // written past the gateway under a name that it does not serve
		}
		out = append(out, protocol.MustJSON(resource{URI: ex.server.uri(root.Join(p), strings.HasSuffix(k, "/")), Name: k, MIMEType: mimeJSON}))
	}
	for _, p := range ex.roots(ctx)[1:] {
		out = append(out, protocol.MustJSON(resource{
			URI: ex.server.uri(p, true), Name: p.String(), Description: "What lies below a path that you were granted.", MIMEType: mimeJSON,
		}))
	}
	return out, nil
}

// paidUnless charges for a resource that was read without a call: none but the
// catalogue's, which comes first, is one.
func (ex *Exchange) paidUnless(ctx context.Context, byCall bool) error {
	if byCall {
		return nil
	}
	return ex.pay(ctx, asEvent, func(context.Context) error { return nil })
}

// paid charges for a list that no call was needed for.
func (ex *Exchange) paid(ctx context.Context) error {
	return ex.pay(ctx, asList, func(context.Context) error { return nil })
}

func seconds(e *call.Error) string { return strconv.Itoa(int(math.Ceil(e.Wait().Seconds()))) }

// roots are the full paths below which the caller has secrets: its own prefix, and what
// it was granted outside of it.
func (ex *Exchange) roots(ctx context.Context) []call.Path {
	out := []call.Path{ex.Caller.Prefix}
	if ex.server.Granted == nil {
		return out
	}
	for _, p := range ex.server.Granted(ctx, ex.Caller) {
		if !p.Within(ex.Caller.Prefix) {
			out = append(out, p)
		}
	}
	return out
}

// list returns the names directly below a full path.
func (ex *Exchange) list(ctx context.Context, p call.Path) ([]string, *call.Error) {
	res, err := ex.do(ctx, op.Request{Op: opList, Absolute: true, Args: protocol.MustJSON(map[string]string{"prefix": p.String()})})
	if err != nil {
		return nil, err
	}
	var out struct {
		Keys []string `json:"keys"`
	}
	if uerr := json.Unmarshal(res.Body, &out); uerr != nil {
		return nil, call.AsError(uerr)
	}
	return out.Keys, nil
}

// listTemplates lists the forms that resource URIs have (resources/templates/list).
func (ex *Exchange) listTemplates(ctx context.Context, c cursor) (result, error) {
	var all []jsontext.Value
	for _, p := range ex.server.providers {
		if p.Templates != nil {
			all = append(all, p.Templates(ctx, ex)...)
		}
	}
	p, err := ex.page(c, "templates", len(all))
	if err != nil {
		return result{}, err
	}
	items, next := p.take(func(i int) jsontext.Value { return all[i] })
	return result{body: listBody("resourceTemplates", items, next), cache: true}, nil
}

func secretTemplates(ctx context.Context, ex *Exchange) []jsontext.Value {
	if o := ex.server.Catalogue.Get(opRead); o == nil || !ex.server.Callable(ctx, ex.Caller, o) {
		return nil
	}
	return []jsontext.Value{protocol.MustJSON(struct {
		Template    string `json:"uriTemplate"`
		Name        string `json:"name"`
		Title       string `json:"title"`
		Description string `json:"description"`
		MIMEType    string `json:"mimeType"`
	}{
		"kv://" + ex.server.KVMount + "/{+path}", "secret", "Secret",
		"A secret by its full path; a path that ends in a slash lists what is below it, 200 names at a time: ?after=NAME goes on; ?version=N reads an older version.", mimeJSON,
	})}
}

// reading are the params of resources/read.
type reading struct {
	uri   string
	input inputParams
}

func readReading(r *protocol.Reader) reading { return reading{r.Text("uri"), readInputs(r)} }

// readResource reads a resource (resources/read).
func (ex *Exchange) readResource(ctx context.Context, p reading) (result, error) {
	for i, prov := range ex.server.providers {
		if prov.Read == nil {
			continue
		}
		c, err := prov.Read(ctx, ex, p.uri)
		switch {
		case err != nil:
			return result{}, err
		case c != nil:
			if err := ex.paidUnless(ctx, i == 0); err != nil {
				return result{}, err
			}
			return result{body: contentsBody(c.List), cache: !c.Fresh}, nil
		}
	}
	return result{}, ex.unreadable(ctx, ex.noResource(p.uri))
}

// readSecret reads a secret, or lists below a prefix.
func readSecret(ctx context.Context, ex *Exchange, uri string) (*Contents, error) {
	r, ok := ex.parseURI(uri)
	if !ok {
		return nil, nil
	}
	req := r.request()
	if err := ask(&req, &ex.msg.Meta); err != nil {
		return nil, ex.unreadable(ctx, ex.faultOf(err))
	}
	res, cerr := ex.do(ctx, req)
	switch {
	case cerr == nil:
		defer res.Done()
		return &Contents{List: jsonContents(uri, res.Body), Fresh: res.Deliver == call.Wrapped}, nil
	case ex.stepUp(cerr):
		return nil, ex.challenge(cerr)
	case cerr.Code == call.NotFound, cerr.Code == call.Forbidden, cerr.Code == call.UnknownOperation, cerr.Code == call.InvalidRequest:
		return nil, ex.noResource(uri)
	}
	return nil, protocol.Answer{Request: res.RequestID, Decision: res.DecisionID}.Fault(cerr)
}

// secretTopic is what a URI of a secret subscribes to: one secret, or with a slash at
// its end all at and below it.
func secretTopic(ctx context.Context, ex *Exchange, uri string) (events.Topic, bool) {
	r, ok := ex.parseURI(uri)
	if !ok || r.version != 0 || r.after != "" {
		return events.Topic{}, false
	}
	t := events.Topic{Mount: r.mount, Path: r.path, Below: r.listing}
	probe := events.Event{Kind: events.ResourceChanged, Mount: t.Mount, Path: t.Path, Op: opRead}
	if t.Below {
		probe.Op = opList
	}
	allow := ex.server.Events.Allow
	return t, allow != nil && allow(ctx, ex.Caller, probe)
}

func (r ref) request() op.Request {
	if r.listing {
		return op.Request{Op: opList, Mount: r.mount, Absolute: true, Args: protocol.MustJSON(struct {
			Prefix string `json:"prefix"`
			Limit  int    `json:"limit"`
			After  string `json:"after,omitzero"`
		}{r.path.String(), maxRead, r.after})}
	}
	return op.Request{Op: opRead, Mount: r.mount, Absolute: true, Args: protocol.MustJSON(struct {
		Path    string `json:"path"`
		Version int    `json:"version,omitzero"`
	}{r.path.String(), r.version})}
}

// noResource is the one answer for what is not there and for what the caller may
// not see. Its code has changed with the modern era.
func (ex *Exchange) noResource(uri string) *protocol.Fault {
	f := &protocol.Fault{Code: protocol.CodeInvalidParams, Msg: "resource not found", Data: map[string]string{"uri": uri}}
	if ex.era != modern {
		f.Code = protocol.CodeNotFoundLegacy
	}
	return f
}

func jsonContents(uri string, body []byte) jsontext.Value {
	return protocol.MustJSON([]struct {
		URI      string `json:"uri"`
		MIMEType string `json:"mimeType"`
		Text     string `json:"text"`
	}{{uri, mimeJSON, string(body)}})
}

func contentsBody(contents jsontext.Value) jsontext.Value {
	b := append([]byte(`{"contents":`), contents...)
	return append(b, '}')
}
