package op

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// Dropped are the arguments that agent frameworks add to every call of a tool. They
// mean nothing to any operation and are dropped; every other unknown one is refused.
func Dropped() []string {
	return []string{
		"sessionId", "session_id", "toolCallId", "tool_call_id", "chatInput", "chat_input", "action",
		"random_string", "dummy", "_dummy", "no_args", "__arg1",
	}
}

// arguments walks the arguments once, before they are decoded and decided on. Models
// are the callers, so what is plainly meant is taken: "1" for a number, "true", JSON
// text for an object, null or "" for what is optional, the other name of an argument.
// It returns the arguments as the schema has them, and their names, sorted. Errors are
// InvalidRequest; they say which argument, what was there and what is wanted, and
// quote no value.
func (o *Op) arguments(raw jsontext.Value) (jsontext.Value, []string, error) {
	if raw.Kind() == '"' {
		raw = Textual(raw, '{')
	}
	if raw.Kind() != '{' {
		return nil, nil, call.Errorf(call.InvalidRequest, "the arguments are %s; wanted is a JSON object", kindOf(raw))
	}
	n := normaliser{op: o}
	out, keys, err := n.object(raw, o.In, "")
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(keys)
	return out, keys, nil
}

// Takes reports whether a call of the operation may have an argument of the name, and
// whether each must have it.
func (o *Op) Takes(name string) (may, must bool) {
	return o.In.Properties[name] != nil, slices.Contains(o.In.Required, name)
}

// normaliser brings arguments into the types of a schema.
type normaliser struct{ op *Op }

// object normalises an object whose members a schema names. at is its place, empty for
// the arguments themselves.
func (n normaliser) object(raw jsontext.Value, s *jsonschema.Schema, at string) (jsontext.Value, []string, error) {
	dec := inPlace(raw)
	if _, err := dec.ReadToken(); err != nil {
		return nil, nil, badJSON(raw, err)
	}
	var keys []string
	out := append(make([]byte, 0, len(raw)), '{')
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, nil, badJSON(raw, err)
		}
		given := tok.String()
		val, err := dec.ReadValue()
		if err != nil {
			return nil, nil, badJSON(raw, err)
		}
		name, known, err := n.name(given, s, at)
		if err != nil {
			return nil, nil, err
		}
		if !known || n.absent(name, val, s) {
			continue
		}
		if slices.Contains(keys, name) {
			return nil, nil, call.Errorf(call.InvalidRequest, "argument %s: given twice, as %s as well", place(at, name), safe(given))
		}
		if val, err = n.member(name, val, s, at); err != nil {
			return nil, nil, err
		}
		if len(keys) > 0 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, name)
		out = append(append(out, ':'), val...)
		keys = append(keys, name)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, nil, badJSON(raw, err)
	}
	for _, r := range s.Required {
		if !slices.Contains(keys, r) {
			return nil, nil, call.Errorf(call.InvalidRequest, "argument %s: missing; wanted is %s", place(at, r), wanted(s.Properties[r]))
		}
	}
	return append(out, '}'), keys, nil
}

// member normalises one member and holds it against its limit.
func (n normaliser) member(name string, val jsontext.Value, s *jsonschema.Schema, at string) (jsontext.Value, error) {
	p, here := s.Properties[name], place(at, name)
	limit := n.op.limit(name, p)
	if at != "" { // limits are those of the arguments themselves
		limit = Limit{MaxBytes: maxBytes(p)}
	}
	if limit.MaxBytes > 0 && p.Type != "string" && len(val) > limit.MaxBytes {
		return nil, call.Errorf(call.InvalidRequest, "argument %s: longer than %d bytes", here, limit.MaxBytes)
	}
	val, err := n.value(val, p, limit, here)
	if err != nil {
		return nil, err
	}
	return val, limit.check(here, val)
}

// name finds the argument that is meant: one of the schema, or another name of one.
func (n normaliser) name(given string, s *jsonschema.Schema, at string) (name string, known bool, err error) {
	if s.Properties[given] != nil {
		return given, true, nil
	}
	if at == "" {
		if other := n.op.Aliases[given]; other != "" {
			return other, true, nil
		}
		if slices.Contains(Dropped(), given) {
			return "", false, nil
		}
		if hint := n.op.Hints[given]; hint != "" {
			return "", false, call.Errorf(call.InvalidRequest, "argument %s: %s", given, hint)
		}
	}
	return "", false, unknown(given, s, at)
}

// absent reports whether a value says that an optional argument is not given: null, or
// an empty text where no text can be meant.
func (n normaliser) absent(name string, val jsontext.Value, s *jsonschema.Schema) bool {
	if slices.Contains(s.Required, name) {
		return false
	}
	p := s.Properties[name]
	text := p.Type == "string" && len(p.Enum) == 0 && p.Pattern == ""
	return val.Kind() == 'n' || string(val) == `""` && !text && p.Type != ""
}

// value normalises one value.
func (n normaliser) value(val jsontext.Value, p *jsonschema.Schema, l Limit, at string) (jsontext.Value, error) {
	var ok bool
	switch p.Type {
	case "integer":
		if val, ok = integer(val); !ok {
			return nil, mistyped(val, p, at)
		}
	case "boolean":
		if val, ok = boolean(val); !ok {
			return nil, mistyped(val, p, at)
		}
	case "string":
		if val, ok = text(val, l); !ok {
			return nil, mistyped(val, p, at)
		}
	case "array":
		return n.list(val, p, at)
	case "object":
		return n.members(val, p, at)
	}
	return val, nil
}

// list normalises a list. One item may stand without its brackets, whole numbers
// between commas in a text.
func (n normaliser) list(val jsontext.Value, p *jsonschema.Schema, at string) (jsontext.Value, error) {
	if val.Kind() == '"' {
		given := val
		if val = Textual(given, '['); val.Kind() != '[' {
			s, _ := unquoted(given)
			val = jsontext.Value("[" + s + "]")
			if p.Items == nil || p.Items.Type != "integer" || !val.IsValid() {
				val = given
			}
		}
	}
	if val.Kind() != '[' {
		if p.Items == nil || p.Items.Type != "integer" || val.Kind() != '0' {
			return nil, mistyped(val, p, at)
		}
		val = jsontext.Value("[" + string(val) + "]")
	}
	if p.Items == nil {
		return val, nil
	}
	var items []jsontext.Value
	if err := json.Unmarshal(val, &items); err != nil {
		return nil, badJSON(val, err)
	}
	for i, it := range items {
		var err error
		if items[i], err = n.value(it, p.Items, Limit{}, at+"["+strconv.Itoa(i)+"]"); err != nil {
			return nil, err
		}
	}
	return json.Marshal(items)
}

// members normalises an object, which may be written as JSON text.
func (n normaliser) members(val jsontext.Value, p *jsonschema.Schema, at string) (jsontext.Value, error) {
	if val.Kind() == '"' {
		val = Textual(val, '{')
	}
	switch {
	case val.Kind() != '{':
		return nil, mistyped(val, p, at)
	case len(p.Properties) > 0:
		out, _, err := n.object(val, p, at)
		return out, err
	case p.AdditionalProperties == nil || p.AdditionalProperties.Type != "string":
		return val, nil
	}
	var all map[string]jsontext.Value
	if err := json.Unmarshal(val, &all); err != nil {
		return nil, badJSON(val, err)
	}
	for name, v := range all {
		switch v.Kind() {
		case '0', 't', 'f':
			all[name] = quoted(strings.TrimSpace(string(v)))
		case '"', 'n':
		default:
			return nil, mistyped(v, p.AdditionalProperties, place(at, safe(name)))
		}
	}
	return json.Marshal(all, json.Deterministic(true))
}

// place is how an argument within another is named.
func place(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
