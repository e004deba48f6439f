package mcp

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
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

// listResources lists what lies directly below the caller's prefix (resources/list).
func (ex *Exchange) listResources(ctx context.Context, params jsontext.Value) (result, error) {
	own, err := ex.ownResources(ctx)
	if err != nil {
		return result{}, err
	}
	var extra []jsontext.Value
	if ex.server.Extra != nil {
		extra = ex.server.Extra.Resources
	}
	p, err := ex.page(params, "resources", len(own)+len(extra))
	if err != nil {
		return result{}, err
	}
	items, next := p.take(func(i int) jsontext.Value {
		if i < len(own) {
			return mustJSON(own[i])
		}
		return extra[i-len(own)]
	})
	return result{body: listBody("resources", items, next), cache: true}, nil
}

// ownResources asks the pipeline what is there. A caller who may not list has
// no resources, which is not an error.
func (ex *Exchange) ownResources(ctx context.Context) ([]resource, error) {
	o := ex.server.Catalogue.Get(opList)
	if o == nil || !ex.server.Callable(ctx, ex.Caller, o) {
		return nil, nil
	}
	root := ex.Caller.Prefix
	keys, cerr := ex.list(ctx, root)
	if cerr != nil && cerr.Code != call.Forbidden && cerr.Code != call.InsufficientScope {
		return nil, cerr
	}
	out := []resource{{
		URI: ex.server.uri(root, true), Name: "your secrets", Description: "What lies below your own prefix.", MIMEType: mimeJSON,
	}}
	for _, k := range keys {
		p, err := call.ParsePath(strings.TrimSuffix(k, "/"))
		if err != nil {
			continue // written past the gateway under a name that it does not serve
		}
		out = append(out, resource{URI: ex.server.uri(root.Join(p), strings.HasSuffix(k, "/")), Name: k, MIMEType: mimeJSON})
	}
	return out, nil
}

// list returns the names directly below a full path.
func (ex *Exchange) list(ctx context.Context, p call.Path) ([]string, *call.Error) {
	res, err := ex.do(ctx, op.Request{Op: opList, Absolute: true, Args: mustJSON(map[string]string{"prefix": p.String()})})
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
func (ex *Exchange) listTemplates(ctx context.Context, params jsontext.Value) (result, error) {
	var all []jsontext.Value
	if o := ex.server.Catalogue.Get(opRead); o != nil && ex.server.Callable(ctx, ex.Caller, o) {
		all = append(all, mustJSON(struct {
			Template    string `json:"uriTemplate"`
			Name        string `json:"name"`
			Title       string `json:"title"`
			Description string `json:"description"`
			MIMEType    string `json:"mimeType"`
		}{
			"kv://" + ex.server.KVMount + "/{+path}", "secret", "Secret",
			"A secret by its full path; a path that ends in a slash lists what is below it; ?version=N reads an older version.", mimeJSON,
		}))
	}
	if ex.server.Extra != nil {
		all = append(all, ex.server.Extra.Templates...)
	}
	p, err := ex.page(params, "templates", len(all))
	if err != nil {
		return result{}, err
	}
	items, next := p.take(func(i int) jsontext.Value { return all[i] })
	return result{body: listBody("resourceTemplates", items, next), cache: true}, nil
}

// readResource reads a secret, or lists below a prefix (resources/read).
func (ex *Exchange) readResource(ctx context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "uri", "_meta", "inputResponses", "requestState")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	uri, ok := text(f[0])
	if !ok {
		return result{}, invalidParams("the uri is missing")
	}
	if x := ex.server.Extra; x != nil && x.Read != nil {
		if contents, xerr := x.Read(ctx, ex, uri); contents != nil || xerr != nil {
			return result{body: contentsBody(contents), cache: true}, xerr
		}
	}
	r, ok := ex.parseURI(uri)
	if !ok {
		return result{}, ex.noResource(uri)
	}
	req := r.request()
	if err := ask(&req, f[1]); err != nil {
		return result{}, err
	}
	res, cerr := ex.do(ctx, req)
	switch {
	case cerr == nil:
		return result{body: contentsBody(jsonContents(uri, res.Body)), cache: res.Deliver != call.Wrapped}, nil
	case ex.stepUp(cerr):
		return result{}, ex.challenge(cerr)
	case cerr.Code == call.NotFound, cerr.Code == call.Forbidden, cerr.Code == call.UnknownOperation, cerr.Code == call.InvalidRequest:
		return result{}, ex.noResource(uri)
	}
	return result{}, answer{res.RequestID, res.DecisionID}.fault(cerr)
}

func (r ref) request() op.Request {
	if r.listing {
		return op.Request{Op: opList, Absolute: true, Args: mustJSON(map[string]string{"prefix": r.path.String()})}
	}
	return op.Request{Op: opRead, Absolute: true, Args: mustJSON(struct {
		Path    string `json:"path"`
		Version int    `json:"version,omitzero"`
	}{r.path.String(), r.version})}
}

// noResource is the one answer for what is not there and for what the caller may
// not see. Its code has changed with the modern era.
func (ex *Exchange) noResource(uri string) *Fault {
	f := &Fault{Code: CodeInvalidParams, Msg: "resource not found", Data: map[string]string{"uri": uri}}
	if ex.era != modern {
		f.Code = CodeNotFoundLegacy
	}
	return f
}

func jsonContents(uri string, body []byte) jsontext.Value {
	return mustJSON([]struct {
		URI      string `json:"uri"`
		MIMEType string `json:"mimeType"`
		Text     string `json:"text"`
	}{{uri, mimeJSON, string(body)}})
}

func contentsBody(contents jsontext.Value) jsontext.Value {
	b := append([]byte(`{"contents":`), contents...)
	return append(b, '}')
}
