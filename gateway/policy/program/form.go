package program

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// form is a schema made ready to be asked of large data: it only says yes, where the
// validator of the library, which keeps account of everything that it sees, takes a third
// of a check's time. What is no yes, the library is asked about.
type form struct {
	kind      string // JSON type, empty for any
	enum      []any
	low, high float64
	short     int // of a text, in characters
	pattern   *regexp.Regexp
	items     *form
	names     *form
	fields    map[string]*form
	others    *form // of fields that are not named
	required  []string
	never     bool // also for what has keywords that are not known here
}

// former makes forms of a schema and its definitions.
type former struct {
	root *jsonschema.Schema
	made map[*jsonschema.Schema]*form
}

func (f *former) of(s *jsonschema.Schema) *form {
	if s == nil {
		return nil
	}
	if out := f.made[s]; out != nil {
		return out
	}
	if s.Ref != "" && known(s) {
		if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok && f.root.Defs[name] != nil {
			return f.of(f.root.Defs[name])
		}
	}
	out := &form{
		kind: s.Type, enum: s.Enum, low: math.Inf(-1), high: math.Inf(1), fields: map[string]*form{}, required: s.Required,
		never: s.Ref != "" || len(s.Types) > 0 || !known(s),
	}
	f.made[s] = out
	if s.Minimum != nil {
		out.low = *s.Minimum
	}
	if s.Maximum != nil {
		out.high = *s.Maximum
	}
	if s.MinLength != nil {
		out.short = *s.MinLength
	}
	if s.Pattern != "" {
		p, err := regexp.Compile(s.Pattern)
		out.pattern, out.never = p, out.never || err != nil
	}
	out.items, out.names, out.others = f.of(s.Items), f.of(s.PropertyNames), f.of(s.AdditionalProperties)
	for name, p := range s.Properties {
		out.fields[name] = f.of(p)
	}
	return out
}

// known reports whether a schema has no keyword but those that a form has. One with "not",
// as false is, never fits.
func known(s *jsonschema.Schema) bool {
	raw, err := json.Marshal(s)
	var keywords map[string]json.RawMessage
	if err != nil || json.Unmarshal(raw, &keywords) != nil {
		return string(raw) == "true"
	}
	_, ref := keywords["$ref"]
	for k := range keywords {
		switch k {
		case "$schema", "$defs", "title", "description":
		case "$ref":
		case "type", "enum", "minimum", "maximum", "minLength", "pattern", "items", "propertyNames", "properties", "additionalProperties", "required":
			if ref {
				return false // both would hold
			}
		default:
			return false
		}
	}
	return true
}

// fits reports whether decoded JSON has the form; everything has no form.
func (f *form) fits(v any) bool {
	if f == nil {
		return true
	}
	if f.never || f.enum != nil && !slices.Contains(f.enum, v) {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		return (f.kind == "" || f.kind == "object") && f.object(v)
	case []any:
		return (f.kind == "" || f.kind == "array") && !slices.ContainsFunc(v, func(e any) bool { return !f.items.fits(e) })
	case string:
		return (f.kind == "" || f.kind == "string") && (f.short == 0 || utf8.RuneCountInString(v) >= f.short) && (f.pattern == nil || f.pattern.MatchString(v))
	case float64:
		return (f.kind == "" || f.kind == "number" || f.kind == "integer" && v == math.Trunc(v)) && v >= f.low && v <= f.high
	case bool:
		return f.kind == "" || f.kind == "boolean"
	}
	return f.kind == "" || f.kind == "null"
}

func (f *form) object(v map[string]any) bool {
	for _, name := range f.required {
		if _, there := v[name]; !there {
			return false
		}
	}
	for name, e := range v {
		of := f.fields[name]
		if of == nil {
			of = f.others
		}
		if !f.names.fits(name) || !of.fits(e) {
			return false
		}
	}
	return true
}

// formOf makes the form of a schema.
func formOf(s *jsonschema.Schema) *form {
	return (&former{root: s, made: map[*jsonschema.Schema]*form{}}).of(s)
}
