package mcp

import (
	"context"
	"net/http"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// compatMethods are the methods of the service that this one replaces, with its
// results. They are served on the plain endpoint when the operator asks for that.
func compatMethods() map[string]method {
	return map[string]method{
		"initialize":            on(plain, asList, nothing, (*Exchange).oldInitialize),
		"shutdown":              on(plain, free, nothing, (*Exchange).oldOK),
		"tools/list":            on(plain, asList, nothing, (*Exchange).oldTools),
		"tools/call":            on(plain, byCall, readOldCall, (*Exchange).oldCall),
		"resources/list":        on(plain, asList, nothing, (*Exchange).oldResources),
		"resources/get":         on(plain, byCall, readOldURI, (*Exchange).oldResource),
		"resources/subscribe":   on(plain, asList, readOldPrefix, (*Exchange).oldSubscribe),
		"resources/unsubscribe": on(plain, asList, readOldPrefix, (*Exchange).oldSubscribe),
		"prompts/list":          on(plain, asList, nothing, (*Exchange).oldPrompts),
		"prompts/get":           on(plain, asList, readOldPrompt, (*Exchange).oldPrompt),
	}
}

// oldVersion is the one revision that the old service knew.
const oldVersion = "2025-06-18"

// The old error numbers.
const (
	oldForbidden = -32603
	oldFailed    = -32000
)

// serveCompat answers a plain request in the old shapes: the status is 200
// whatever came of it.
func (s *Server) serveCompat(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	if ex.msg.IsNotification() {
		s.notified(w, r, ex)
		return
	}
	res, err := ex.oldAnswer(r.Context())
	if err != nil {
		f := ex.oldFault(err)
		f.Status = http.StatusOK
		s.writeFault(w, ex.msg.ID, f)
		return
	}
	writeJSON(w, http.StatusOK, ex.reply(res))
}

// oldAnswer runs a request of the old service.
func (ex *Exchange) oldAnswer(ctx context.Context) (result, error) {
	if err := ex.behalf(ctx); err != nil {
		return result{}, err
	}
	m, ok := ex.server.compat[ex.msg.Method]
	if !ok {
		return result{}, ex.unreadable(ctx, &protocol.Fault{Code: protocol.CodeMethodNotFound, Msg: "Method not found"})
	}
	run, err := m.read(ex)
	if err != nil {
		return result{}, ex.unreadable(ctx, ex.faultOf(err))
	}
	var res result
	err = ex.pay(ctx, m.due, func(ctx context.Context) (err error) { res, err = run(ctx); return err })
	return res, err
}

// oldFault gives an error its old number. The text stays a public one.
func (ex *Exchange) oldFault(err error) *protocol.Fault {
	if f, ok := err.(*protocol.Fault); ok { //nolint:errorlint // faults are never wrapped
		f.Msg = strings.TrimPrefix(f.Msg, "params: ")
		return f
	}
	e := call.AsError(err)
	f := &protocol.Fault{Code: oldFailed, Msg: e.Msg, Data: protocol.Answer{Request: ex.requestID}.WireError(e)}
	switch e.Code {
	case call.InsufficientScope:
		f.Code, f.Msg = oldForbidden, "Forbidden: missing scopes: ['"+strings.Join(e.Scopes, "', '")+"']"
	case call.Forbidden:
		f.Code, f.Msg = oldForbidden, "Forbidden: "+e.Msg
	}
	return f
}

func (ex *Exchange) oldInitialize(ctx context.Context, _ none) (result, error) {
	names := []string{}
	for _, o := range ex.server.Catalogue.All() {
		if ex.mayCall(ctx, o) {
			names = append(names, o.Name)
		}
	}
	return result{body: protocol.MustJSON(map[string]any{
		"protocolVersion": oldVersion,
		"serverInfo":      map[string]string{"name": "vault-mcp", "version": oldVersion},
		"capabilities":    map[string]any{"resources": true, "prompts": true, "tools": names, "sessions": true, "resumable": false},
	})}, nil
}

func (ex *Exchange) oldOK(context.Context, none) (result, error) {
	return result{body: jsontext.Value(`{"ok":true}`)}, nil
}

func (ex *Exchange) oldTools(ctx context.Context, _ none) (result, error) {
	tools := []map[string]any{}
	for _, o := range ex.server.Catalogue.All() {
		if ex.mayCall(ctx, o) {
			tools = append(tools, map[string]any{
				"name": o.Name, "description": o.Doc, "input_schema": o.In, "output_schema": o.Out,
			})
		}
	}
	return result{body: protocol.MustJSON(map[string]any{"tools": tools})}, nil
}

// oldTool are the params of a call, and of a prompt.
type oldTool struct {
	name string
	args jsontext.Value
}

func readOldCall(r *protocol.Reader) oldTool {
	return oldTool{r.Optional("name"), r.Value("arguments")}
}

func (ex *Exchange) oldCall(ctx context.Context, p oldTool) (result, error) {
	t := ex.server.byName[p.name]
	if t == nil || ex.server.Catalogue.Get(t.Name) == nil {
		return result{}, ex.unreadable(ctx, &protocol.Fault{Code: oldFailed, Msg: "Unknown tool"})
	}
	res, cerr := ex.do(ctx, op.Request{Op: t.Name, Args: p.args})
	if cerr != nil {
		return result{}, cerr
	}
	b := append([]byte(`{"content":`), res.Body...)
	res.Done()
	return result{body: append(b, '}')}, nil
}

func (ex *Exchange) oldResources(context.Context, none) (result, error) {
	return result{body: protocol.MustJSON(map[string]any{"resources": []resource{{
		URI: "kv://" + ex.Caller.Subject + "/", Name: ex.Caller.Subject + " KV root", MIMEType: mimeJSON,
	}}})}, nil
}

func readOldURI(r *protocol.Reader) string {
	uri := r.Optional("uri")
	if uri == "" {
		r.Fail("%s required", "uri")
	}
	return uri
}

func (ex *Exchange) oldResource(ctx context.Context, uri string) (result, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(uri, "kv://"), "/")
	if host != ex.Caller.Subject {
		return result{}, ex.unreadable(ctx, &protocol.Fault{Code: oldForbidden, Msg: "Forbidden: cross-subject access forbidden"})
	}
	r, ok := ex.parseURI(uri)
	if !ok {
		return result{}, ex.unreadable(ctx, &protocol.Fault{Code: oldFailed, Msg: "Invalid URI"})
	}
	res, cerr := ex.do(ctx, r.request())
	if cerr != nil {
		return result{}, cerr
	}
	return result{body: protocol.MustJSON(struct {
		URI      string         `json:"uri"`
		MIMEType string         `json:"mimeType"`
		Content  jsontext.Value `json:"content"`
	}{uri, mimeJSON, oldContent(res.Body)})}, nil
}

// oldContent keeps what the old service answered: data and version, or keys.
func oldContent(body []byte) jsontext.Value {
	var v struct {
		Data    jsontext.Value `json:"data,omitempty"`
		Version jsontext.Value `json:"version,omitempty"`
		Keys    jsontext.Value `json:"keys,omitempty"`
	}
	if json.Unmarshal(body, &v) != nil {
		return body
	}
	return protocol.MustJSON(v)
}

func readOldPrefix(r *protocol.Reader) none {
	if r.Optional("uriPrefix") == "" {
		r.Fail("%s required", "uriPrefix")
	}
	return none{}
}

// oldSubscribe checks what the old service checked. Its streams were not bound to
// a subscription, and each caller's stream carries what the caller may see anyway.
func (ex *Exchange) oldSubscribe(context.Context, none) (result, error) {
	return result{body: jsontext.Value(`{"ok":true}`)}, nil
}

func (ex *Exchange) oldPrompts(context.Context, none) (result, error) {
	arg := func(name string, required bool) map[string]any {
		return map[string]any{"name": name, "required": required}
	}
	return result{body: protocol.MustJSON(map[string]any{"prompts": []map[string]any{
		{"name": "kv_read", "description": "Read a secret", "arguments": []any{arg("path", true), arg("version", false)}},
		{"name": "kv_write", "description": "Write a secret", "arguments": []any{arg("path", true), arg("data", true)}},
	}})}, nil
}

func readOldPrompt(r *protocol.Reader) oldTool {
	p := readOldCall(r)
	if p.args.Kind() != '{' {
		p.args = jsontext.Value("{}")
	}
	return p
}

func (ex *Exchange) oldPrompt(_ context.Context, p oldTool) (result, error) {
	tool, ok := map[string]string{"kv_read": "kv.read", "kv_write": "kv.write"}[p.name]
	if !ok {
		return result{}, &protocol.Fault{Code: oldFailed, Msg: "Unknown prompt"}
	}
	message := func(role, text string) map[string]any {
		return map[string]any{"role": role, "content": map[string]string{"type": "text", "text": text}}
	}
	return result{body: protocol.MustJSON(map[string]any{
		"name": p.name,
		"messages": []any{
			message("system", "You work with secrets through tools. Never repeat a secret value."),
			message("user", "Call "+tool+" with the suggested arguments."),
		},
		"suggested_tool": map[string]any{"name": tool, "arguments": p.args},
	})}, nil
}
