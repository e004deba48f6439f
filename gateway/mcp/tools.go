package mcp

import (
	"context"
	"encoding/base64"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
)

// tool is an operation or an extra tool as it is listed and called.
type tool struct {
	op         *op.Op // nil for an extra tool
	extra      *Tool
	dotted     jsontext.Value // the whole entry of tools/list
	underscore jsontext.Value
}

// loadTools makes an entry of every operation. Both spellings of a name find it.
func (s *Server) loadTools() {
	for _, o := range s.Catalogue.All() {
		s.tools = append(s.tools, tool{op: o, dotted: entry(o, o.Name, o.In), underscore: entry(o, underscored(o.Name), o.In)})
	}
	if s.Extra != nil {
		for _, t := range s.Extra.Tools {
			s.tools = append(s.tools, tool{extra: &t, dotted: t.Definition, underscore: t.Definition})
		}
	}
	for i := range s.tools {
		t := &s.tools[i]
		if t.op == nil {
			s.byName[t.extra.Name] = t
			continue
		}
		s.byName[t.op.Name], s.byName[underscored(t.op.Name)] = t, t
	}
}

func underscored(name string) string { return strings.ReplaceAll(name, ".", "_") }

// entry is an operation as a tool (MCP, tools, data types).
func entry(o *op.Op, name string, in *jsonschema.Schema) jsontext.Value {
	type annotations struct {
		Title       string `json:"title"`
		ReadOnly    bool   `json:"readOnlyHint"`
		Destructive bool   `json:"destructiveHint"`
		Idempotent  bool   `json:"idempotentHint"`
		OpenWorld   bool   `json:"openWorldHint"`
	}
	return mustJSON(struct {
		Name         string             `json:"name"`
		Title        string             `json:"title"`
		Description  string             `json:"description"`
		InputSchema  *jsonschema.Schema `json:"inputSchema"`
		OutputSchema *jsonschema.Schema `json:"outputSchema"`
		Annotations  annotations        `json:"annotations"`
	}{name, o.Title, o.Doc, in, anyAnswer(o.Out), annotations{
		Title: o.Title, ReadOnly: o.ReadOnly(), Destructive: o.Replaces, Idempotent: o.Idempotent,
	}})
}

// anyAnswer widens an output schema by the other things that structuredContent can
// be, an error or a wrapping token, so that it holds for every answer: some clients
// check each of them.
func anyAnswer(out *jsonschema.Schema) *jsonschema.Schema {
	s := *out
	s.Properties = map[string]*jsonschema.Schema{
		"error":     {Type: "object", Description: "what went wrong, instead of the rest"},
		"wrap_info": {Type: "object", Description: "what opens the answer, instead of the rest, when it is wrapped"},
	}
	maps.Copy(s.Properties, out.Properties)
	if s.Required = nil; len(out.Required) == 0 {
		return &s
	}
	s.AnyOf = []*jsonschema.Schema{{Required: out.Required}, {Required: []string{"error"}}, {Required: []string{"wrap_info"}}}
	return &s
}

// listTools lists what the caller may call (tools/list).
func (ex *Exchange) listTools(ctx context.Context, params jsontext.Value) (result, error) {
	page, err := ex.page(params, "tools", len(ex.server.tools))
	if err != nil {
		return result{}, err
	}
	items, next := page.take(func(i int) jsontext.Value { return ex.toolEntry(ctx, &ex.server.tools[i]) })
	return result{body: listBody("tools", items, next), cache: true}, nil
}

// toolEntry is a tool as this client is shown it, nil when the caller could never
// call it.
func (ex *Exchange) toolEntry(ctx context.Context, t *tool) jsontext.Value {
	if !ex.mayCall(ctx, t) {
		return nil
	}
	if t.op != nil {
		if names := ex.names(ctx, t.op); names != nil {
			return entry(t.op, ex.toolName(t.op.Name), narrowed(t.op.In, names))
		}
	}
	if ex.underscores() {
		return t.underscore
	}
	return t.dotted
}

// names are the keys or roles that the caller may use with an operation, nil when
// they are not known.
func (ex *Exchange) names(ctx context.Context, o *op.Op) []string {
	if ex.server.Names == nil {
		return nil
	}
	names, ok := ex.server.Names(ctx, ex.Caller, o)
	if !ok {
		return nil
	}
	return names
}

// narrowed lists the names in an input schema, so that a model need not guess.
// What may be used, the policy decides all the same.
func narrowed(in *jsonschema.Schema, names []string) *jsonschema.Schema {
	s := *in
	s.Properties = maps.Clone(in.Properties)
	for _, arg := range []string{"key", "role"} {
		if p := in.Properties[arg]; p != nil {
			named := *p
			for _, n := range names {
				named.Enum = append(named.Enum, n)
			}
			s.Properties[arg] = &named
		}
	}
	return &s
}

func (ex *Exchange) mayCall(ctx context.Context, t *tool) bool {
	if t.op == nil {
		return true
	}
	return ex.server.Callable(ctx, ex.Caller, t.op)
}

// underscores reports whether names are shown without dots. One desktop client
// drops a whole tool set over a dot.
func (ex *Exchange) underscores() bool {
	switch ex.server.ToolNames {
	case "dotted":
		return false
	case "underscore":
		return true
	default:
		return ex.meta.clientName == "claude-ai"
	}
}

// toolName is an operation's name as this client is shown it.
func (ex *Exchange) toolName(name string) string {
	if ex.underscores() {
		return underscored(name)
	}
	return name
}

// page is one page of a list.
type page struct {
	list    string
	from, n int
	size    int
}

// page reads the cursor of a list request. A cursor is a position in one list
// and gives no right, so it needs no signature; anything else is refused.
func (ex *Exchange) page(params jsontext.Value, list string, n int) (page, error) {
	p := page{list: list, n: n, size: ex.server.Limits.PageSize}
	f, err := fields(params, "cursor")
	if err != nil {
		return p, invalidParams("params: " + err.Error())
	}
	if f[0] == nil {
		return p, nil
	}
	s, ok := text(f[0])
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if !ok || err != nil {
		return p, invalidParams("unknown cursor")
	}
	var at int
	name, pos, _ := strings.Cut(string(raw), " ")
	if json.Unmarshal([]byte(pos), &at) != nil || name != list || at <= 0 || at >= n {
		return p, invalidParams("unknown cursor")
	}
	p.from = at
	return p, nil
}

// take fills the page. item may return nil for entries that are left out.
func (p page) take(item func(int) jsontext.Value) (items []jsontext.Value, next string) {
	for i := p.from; i < p.n; i++ {
		it := item(i)
		if it == nil {
			continue
		}
		if len(items) == p.size {
			return items, base64.RawURLEncoding.EncodeToString([]byte(p.list + " " + string(mustJSON(i))))
		}
		items = append(items, it)
	}
	return items, ""
}

// listBody encodes a page.
func listBody(name string, items []jsontext.Value, next string) jsontext.Value {
	b := append([]byte(`{"`), name...)
	b = append(b, `":[`...)
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, it...)
	}
	b = append(b, ']')
	if next != "" {
		b = append(append(append(b, `,"nextCursor":"`...), next...), '"')
	}
	return append(b, '}')
}
