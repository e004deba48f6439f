package op

import (
	"bytes"
	jsonv1 "encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// schemaFor returns the JSON Schema (2020-12) of a struct type.
func schemaFor[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: typeSchemas()})
	if err != nil {
		panic(fmt.Sprintf("schema of %v: %v", reflect.TypeFor[T](), err))
	}
	dropNull(s)
	return s
}

// warn adds to a result what Vault warns of beside it, see WithWarnings.
func warn(out *jsonschema.Schema) {
	if out.Properties == nil { // a result without fields of its own
		out.Properties = map[string]*jsonschema.Schema{}
	}
	out.Properties["warnings"] = &jsonschema.Schema{
		Type: "array", Items: &jsonschema.Schema{Type: "string"},
		Description: "what Vault warns of, absent when it does not",
	}
	if out.PropertyOrder != nil {
		out.PropertyOrder = append(out.PropertyOrder, "warnings")
	}
}

// dropNull takes "null" out of lists and maps: a nil one is encoded as empty.
func dropNull(s *jsonschema.Schema) {
	if i := slices.Index(s.Types, "null"); i >= 0 && !slices.Contains(s.Types, "integer") {
		s.Types = slices.Delete(s.Types, i, i+1)
	}
	if len(s.Types) == 1 {
		s.Type, s.Types = s.Types[0], nil
	}
	for _, p := range s.Properties {
		dropNull(p)
	}
	for _, p := range []*jsonschema.Schema{s.Items, s.AdditionalProperties} {
		if p != nil {
			dropNull(p)
		}
	}
}

// typeSchemas gives the types whose JSON form reflection cannot see.
func typeSchemas() map[reflect.Type]*jsonschema.Schema {
	str := func(maxLen int, pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MaxLength: &maxLen, Pattern: pattern}
	}
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[call.Path]():         str(call.MaxPath, `^[^/?#%\\*]([^?#%\\*]*[^/?#%\\*])?$`),
		reflect.TypeFor[call.Prefix]():       str(call.MaxPath+1, `^([^/?#%\\*][^?#%\\*]*)?$`),
		reflect.TypeFor[call.Name]():         str(call.MaxName, `^\w(([\w.-]+)?\w)?$`),
		reflect.TypeFor[call.Secret]():       {Type: "string"},
		reflect.TypeFor[call.SecretJSON]():   {Type: "object"},
		reflect.TypeFor[jsonv1.RawMessage](): {},
	}
}

// constrain writes the limits into the input schema.
func (s Spec) constrain(in *jsonschema.Schema) error {
	for name, l := range s.Limits {
		p := in.Properties[name]
		if p == nil {
			return fmt.Errorf("a limit names the unknown argument %s", name)
		}
		p.Minimum, p.Maximum = l.Min, l.Max
		for _, e := range l.Enum {
			p.Enum = append(p.Enum, e)
		}
		if l.MaxItems > 0 {
			p.MaxItems = &l.MaxItems
		}
		if l.MaxBytes > 0 {
			p.MaxLength = &l.MaxBytes
		}
		if l.Default != nil {
			raw, err := json.Marshal(l.Default)
			if err != nil {
				return err
			}
			p.Default = raw
		}
	}
	return nil
}

// check walks the arguments once: an object, no duplicate keys, every required
// argument there, every limit kept. It returns the names, sorted.
func (o *Op) check(raw []byte) ([]string, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if dec.PeekKind() != '{' {
		return nil, call.Errorf(call.InvalidRequest, "the arguments are not a JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, badJSON(err)
	}
	var keys []string
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, badJSON(err)
		}
		key := tok.String()
		val, err := dec.ReadValue()
		if err != nil {
			return nil, badJSON(err)
		}
		if err := o.Limits[key].check(key, val); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	for _, r := range o.required {
		if !slices.Contains(keys, r) {
			return nil, call.Errorf(call.InvalidRequest, "argument %s: missing", r)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// check holds one value against the limit; values of another type are left to
// the decoder.
func (l Limit) check(name string, val jsontext.Value) error {
	switch val.Kind() {
	case '0':
		return l.checkNumber(name, val)
	case '"':
		var s string
		if json.Unmarshal(val, &s) != nil {
			return nil
		}
		if len(l.Enum) > 0 && !slices.Contains(l.Enum, s) {
			return call.Errorf(call.InvalidRequest, "argument %s: must be one of %v", name, l.Enum)
		}
		if l.MaxBytes > 0 && utf8.RuneCountInString(s) > l.MaxBytes {
			return call.Errorf(call.InvalidRequest, "argument %s: longer than %d", name, l.MaxBytes)
		}
	case '[':
		var list []jsontext.Value
		if l.MaxItems > 0 && json.Unmarshal(val, &list) == nil && len(list) > l.MaxItems {
			return call.Errorf(call.InvalidRequest, "argument %s: more than %d items", name, l.MaxItems)
		}
	}
	return nil
}

func (l Limit) checkNumber(name string, val jsontext.Value) error {
	var f float64
	if json.Unmarshal(val, &f) != nil {
		return nil
	}
	if l.Min != nil && f < *l.Min {
		return call.Errorf(call.InvalidRequest, "argument %s: less than %v", name, *l.Min)
	}
	if l.Max != nil && f > *l.Max {
		return call.Errorf(call.InvalidRequest, "argument %s: more than %v", name, *l.Max)
	}
	return nil
}
