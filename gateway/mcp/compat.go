package mcp

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// compatMethods are the methods of the service that this one replaces, with its
// results. They are served on the plain endpoint when the operator asks for that.
func compatMethods() map[string]method {
	return map[string]method{
		"initialize":            {plain, (*Exchange).oldInitialize},
		"shutdown":              {plain, (*Exchange).oldOK},
		"tools/list":            {plain, (*Exchange).oldTools},
		"tools/call":            {plain, (*Exchange).oldCall},
		"resources/list":        {plain, (*Exchange).oldResources},
		"resources/get":         {plain, (*Exchange).oldResource},
		"resources/subscribe":   {plain, (*Exchange).oldSubscribe},
		"resources/unsubscribe": {plain, (*Exchange).oldSubscribe},
		"prompts/list":          {plain, (*Exchange).oldPrompts},
		"prompts/get":           {plain, (*Exchange).oldPrompt},
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
	m, ok := s.compat[ex.msg.method]
	var res result
	var err error
	switch {
	case ex.msg.isNotification():
		s.notified(w, ex)
		return
	case !ok:
		err = &Fault{Code: CodeMethodNotFound, Msg: "Method not found"}
	default:
		res, err = m.run(ex, r.Context(), ex.msg.params)
	}
	if err != nil {
		f := ex.oldFault(err)
		f.status = http.StatusOK
		s.writeFault(w, ex.msg.id, f)
		return
	}
	writeJSON(w, http.StatusOK, ex.reply(res))
}

// oldFault gives an error its old number. The text stays a public one.
func (ex *Exchange) oldFault(err error) *Fault {
	if f, ok := err.(*Fault); ok { //nolint:errorlint // faults are never wrapped
		return f
	}
	e := call.AsError(err)
	f := &Fault{Code: oldFailed, Msg: e.Msg, Data: answer{request: ex.requestID}.wireError(e)}
	switch e.Code {
	case call.InsufficientScope:
		f.Code, f.Msg = oldForbidden, "Forbidden: missing scopes: ['"+strings.Join(e.Scopes, "', '")+"']"
	case call.Forbidden:
		f.Code, f.Msg = oldForbidden, "Forbidden: "+e.Msg
	}
	return f
}

func (ex *Exchange) oldInitialize(ctx context.Context, _ jsontext.Value) (result, error) {
	names := []string{}
	for i := range ex.server.tools {
		if t := &ex.server.tools[i]; t.op != nil && ex.mayCall(ctx, t) {
			names = append(names, t.op.Name)
		}
	}
	return result{body: mustJSON(map[string]any{
		"protocolVersion": oldVersion,
		"serverInfo":      map[string]string{"name": "vault-mcp", "version": oldVersion},
		"capabilities":    map[string]any{"resources": true, "prompts": true, "tools": names, "sessions": true, "resumable": false},
	})}, nil
}

func (ex *Exchange) oldOK(context.Context, jsontext.Value) (result, error) {
	return result{body: jsontext.Value(`{"ok":true}`)}, nil
}

func (ex *Exchange) oldTools(ctx context.Context, _ jsontext.Value) (result, error) {
	tools := []map[string]any{}
	for i := range ex.server.tools {
		if t := &ex.server.tools[i]; t.op != nil && ex.mayCall(ctx, t) {
			tools = append(tools, map[string]any{
				"name": t.op.Name, "description": t.op.Doc, "input_schema": t.op.In, "output_schema": t.op.Out,
			})
		}
	}
	return result{body: mustJSON(map[string]any{"tools": tools})}, nil
}

func (ex *Exchange) oldCall(ctx context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "name", "arguments")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	name, _ := text(f[0])
	t := ex.server.byName[name]
	if t == nil || t.op == nil {
		return result{}, &Fault{Code: oldFailed, Msg: "Unknown tool"}
	}
	res, cerr := ex.do(ctx, op.Request{Op: t.op.Name, Args: f[1]})
	if cerr != nil {
		return result{}, cerr
	}
	b := append([]byte(`{"content":`), res.Body...)
	return result{body: append(b, '}')}, nil
}

func (ex *Exchange) oldResources(context.Context, jsontext.Value) (result, error) {
	return result{body: mustJSON(map[string]any{"resources": []resource{{
		URI: "kv://" + ex.Caller.Subject + "/", Name: ex.Caller.Subject + " KV root", MIMEType: mimeJSON,
	}}})}, nil
}

func (ex *Exchange) oldResource(ctx context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "uri")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	uri, ok := text(f[0])
	if !ok {
		return result{}, invalidParams("uri required")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(uri, "kv://"), "/")
	if host != ex.Caller.Subject {
		return result{}, &Fault{Code: oldForbidden, Msg: "Forbidden: cross-subject access forbidden"}
	}
	r, ok := ex.parseURI(uri)
	if !ok {
		return result{}, &Fault{Code: oldFailed, Msg: "Invalid URI"}
	}
	res, cerr := ex.do(ctx, r.request())
	if cerr != nil {
		return result{}, cerr
	}
	return result{body: mustJSON(struct {
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
	return mustJSON(v)
}

// oldSubscribe checks what the old service checked. Its streams were not bound to
// a subscription, and each caller's stream carries what the caller may see anyway.
func (ex *Exchange) oldSubscribe(_ context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "uriPrefix")
	if err != nil || f[0].Kind() != '"' {
		return result{}, invalidParams("uriPrefix required")
	}
	return result{body: jsontext.Value(`{"ok":true}`)}, nil
}

func (ex *Exchange) oldPrompts(context.Context, jsontext.Value) (result, error) {
	arg := func(name string, required bool) map[string]any {
		return map[string]any{"name": name, "required": required}
	}
	return result{body: mustJSON(map[string]any{"prompts": []map[string]any{
		{"name": "kv_read", "description": "Read a secret", "arguments": []any{arg("path", true), arg("version", false)}},
		{"name": "kv_write", "description": "Write a secret", "arguments": []any{arg("path", true), arg("data", true)}},
	}})}, nil
}

func (ex *Exchange) oldPrompt(_ context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "name", "arguments")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	name, _ := text(f[0])
	tool, ok := map[string]string{"kv_read": "kv.read", "kv_write": "kv.write"}[name]
	if !ok {
		return result{}, &Fault{Code: oldFailed, Msg: "Unknown prompt"}
	}
	args := f[1]
	if args.Kind() != '{' {
		args = jsontext.Value("{}")
	}
	message := func(role, text string) map[string]any {
		return map[string]any{"role": role, "content": map[string]string{"type": "text", "text": text}}
	}
	return result{body: mustJSON(map[string]any{
		"name": name,
		"messages": []any{
			message("system", "You work with secrets through tools. Never repeat a secret value."),
			message("user", "Call "+tool+" with the suggested arguments."),
		},
		"suggested_tool": map[string]any{"name": tool, "arguments": args},
	})}, nil
}
