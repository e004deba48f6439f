package mcp

import (
	"strings"
	"sync"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
)

// maxEntries bounds the encoded forms that are kept of one tool: one for each set of
// names that callers may use with it. There are as many as there are different grants.
const maxEntries = 256

// entries are the encoded forms of one tool's entry in tools/list. What a caller is
// shown depends on its name, its schema and the names that the caller may use; so it
// can be kept for as long as the process lives.
type entries struct {
	mu    sync.Mutex // guards forms
	forms map[string]jsontext.Value
}

func newEntries() *entries { return &entries{forms: map[string]jsontext.Value{}} }

func (e *entries) get(name string, names []string, o *op.Op) jsontext.Value {
	key := name + "\x00" + strings.Join(names, "\x00")
	e.mu.Lock()
	defer e.mu.Unlock()
	if v, ok := e.forms[key]; ok {
		return v
	}
	if len(e.forms) >= maxEntries {
		clear(e.forms)
	}
	v := entry(o, name, names)
	e.forms[key] = v
	return v
}

// entry is an operation as a tool (MCP, tools, data types). It has no output schema:
// half of a model's context for the list would go into what it sees anyway when it
// calls the tool. The OpenAPI document has them.
func entry(o *op.Op, name string, names []string) jsontext.Value {
	type annotations struct {
		ReadOnly    bool `json:"readOnlyHint"`
		Destructive bool `json:"destructiveHint"`
		Idempotent  bool `json:"idempotentHint,omitzero"` // says nothing of what is read-only
		OpenWorld   bool `json:"openWorldHint"`
	}
	return protocol.MustJSON(struct {
		Name        string      `json:"name"`
		Title       string      `json:"title"`
		Description string      `json:"description"`
		InputSchema inputSchema `json:"inputSchema"`
		Annotations annotations `json:"annotations"`
	}{name, o.Title, o.Doc, narrowed(portable(o.In), names), annotations{
		ReadOnly: o.ReadOnly(), Destructive: o.Replaces, Idempotent: o.Idempotent && !o.ReadOnly(),
	}})
}

// inputSchema is a JSON Schema in the words that every model API takes (OpenAI, function
// calling; Anthropic, tool use; Gemini API, Schema): one type for each property, and no
// other keyword than these.
type inputSchema struct {
	Type        string                 `json:"type"`
	Description string                 `json:"description,omitempty"`
	Properties  map[string]inputSchema `json:"properties,omitzero"`
	Required    []string               `json:"required,omitempty"`
	Items       *inputSchema           `json:"items,omitzero"`
	Enum        []any                  `json:"enum,omitempty"`
	Minimum     *float64               `json:"minimum,omitempty"`
	Maximum     *float64               `json:"maximum,omitempty"`
	MinItems    *int                   `json:"minItems,omitempty"`
	MaxItems    *int                   `json:"maxItems,omitempty"`
}

// portable says of a schema what can be said in those words. What is left out is
// enforced when the call is bound.
func portable(s *jsonschema.Schema) inputSchema {
	p := inputSchema{
		Type: oneType(s), Description: s.Description, Required: s.Required,
		Minimum: s.Minimum, Maximum: s.Maximum, MinItems: s.MinItems, MaxItems: s.MaxItems,
	}
	if s.Default != nil {
		p.Description += "; default " + string(s.Default)
	}
	if p.Type == "string" {
		p.Enum = s.Enum
	}
	if p.Type == "array" && s.Items != nil {
		items := portable(s.Items)
		p.Items = &items
	}
	if len(s.Properties) > 0 {
		p.Properties = map[string]inputSchema{}
	}
	for name, v := range s.Properties {
		p.Properties[name] = portable(v)
	}
	p.sayOnce()
	return p
}

// sayOnce leaves out a description that says no more than the name of the argument, and
// that of an argument of a batch's item where it is the one of the argument beside the
// batch.
func (s inputSchema) sayOnce() {
	for name, p := range s.Properties {
		if p.Description == "name of the "+name {
			p.Description = ""
			s.Properties[name] = p
		}
	}
	for _, list := range s.Properties {
		if list.Items == nil {
			continue
		}
		for name, p := range list.Items.Properties {
			if p.Description == s.Properties[name].Description {
				p.Description = ""
				list.Items.Properties[name] = p
			}
		}
	}
}

// oneType is the one type of a schema: of several, the first that is not null, and
// of none, an object.
func oneType(s *jsonschema.Schema) string {
	for _, t := range append([]string{s.Type}, s.Types...) {
		if t != "" && t != "null" {
			return t
		}
	}
	return "object"
}

// narrowed lists the names in an input schema, so that a model need not guess.
// What may be used, the policy decides all the same.
func narrowed(in inputSchema, names []string) inputSchema {
	if names == nil {
		return in
	}
	for _, arg := range []string{"key", "role"} {
		if p, ok := in.Properties[arg]; ok {
			for _, n := range names {
				p.Enum = append(p.Enum, n)
			}
			in.Properties[arg] = p
		}
	}
	return in
}
