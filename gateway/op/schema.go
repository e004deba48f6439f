package op

import (
	jsonv1 "encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/call"
)

// schemaFor returns the JSON Schema (2020-12) of a struct type whose secrets are
// described by secret.
func schemaFor[T any](secret *jsonschema.Schema) *jsonschema.Schema {
	types := typeSchemas()
	types[reflect.TypeFor[call.Secret]()] = secret
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: types})
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

// The patterns of path arguments: a path has no slash at its ends, a prefix may have one
// behind it.
const (
	refPattern    = `^[^/](.*[^/])?$`
	folderPattern = `^(/|[^/].*)?$`
)

// maxSecret and maxText bound an argument that names no bound of its own, in bytes: a
// secret, a list or an object by Vault's own limit of a request (Vault docs,
// max_request_size), any other text by what a name or an option needs.
const (
	maxSecret = 32 << 20
	maxText   = 1024
	maxProof  = 64 << 10 // of a text in a list: the longest signature (FIPS 205) in base64
)

// sent and shown are the schemas of a secret in arguments and in results.
func sent() *jsonschema.Schema  { return &jsonschema.Schema{Type: "string", MaxLength: new(maxSecret)} }
func shown() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }

// dropNull takes "null" out, since several model APIs take one type per property: a nil
// list or map is encoded as empty, and an argument that is null is taken as absent.
func dropNull(s *jsonschema.Schema) {
	if i := slices.Index(s.Types, "null"); i >= 0 {
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
		reflect.TypeFor[call.Path]():         str(call.MaxPath, ""),
		reflect.TypeFor[call.Ref]():          str(call.MaxRef, refPattern),
		reflect.TypeFor[call.Folder]():       str(call.MaxRef+1, folderPattern),
		reflect.TypeFor[call.Name]():         str(call.MaxName, `^\w(([\w.-]+)?\w)?$`),
		reflect.TypeFor[call.SecretJSON]():   {Type: "object", AdditionalProperties: &jsonschema.Schema{}},
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
		if l.MaxBytes > 0 && p.Type == "string" {
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
	for _, p := range in.Properties {
		if p.Type == "string" && p.MaxLength == nil && len(p.Enum) == 0 {
			p.MaxLength = new(maxText)
		}
	}
	return nil
}

// limit is the limit of one argument. Every argument has a bound in bytes.
func (o *Op) limit(name string, p *jsonschema.Schema) Limit {
	l := o.Limits[name]
	if l.MaxBytes == 0 {
		l.MaxBytes = maxBytes(p)
	}
	return l
}

// maxBytes is the bound of what a schema describes. A text's maxLength counts
// characters; here as many bytes are allowed, since names are mostly ASCII and secrets
// have room.
func maxBytes(p *jsonschema.Schema) int {
	switch {
	case p.Type == "string" && p.MaxLength != nil:
		return *p.MaxLength
	case p.Type == "string":
		return maxProof
	case p.Type == "integer", p.Type == "boolean":
		return maxText
	}
	return maxSecret
}

// check holds one value against the limit; values of another type are left to
// the decoder.
func (l Limit) check(name string, val jsontext.Value) error {
	switch val.Kind() {
	case '0':
		return l.checkNumber(name, val)
	case '"':
		if len(l.Enum) == 0 && (l.MaxBytes <= 0 || len(val) <= l.MaxBytes) {
			return nil // in quotes it is no shorter
		}
		var s string
		if json.Unmarshal(val, &s) != nil {
			return nil
		}
		if len(l.Enum) > 0 && !slices.Contains(l.Enum, s) {
			return call.Errorf(call.InvalidRequest, "argument %s: must be one of %v", name, l.Enum)
		}
		if l.MaxBytes > 0 && len(s) > l.MaxBytes {
			return call.Errorf(call.InvalidRequest, "argument %s: longer than %d bytes", name, l.MaxBytes)
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
