package native

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
)

// Masked is what mask writes unless it is told otherwise.
const Masked = "[masked]"

type maskArgs struct {
	Pointers []string `json:"pointers"`
	Keys     []string `json:"keys"`
	With     *string  `json:"with"`
}

// MaskSchema describes the arguments of mask.
func MaskSchema() *jsonschema.Schema {
	return selecting(map[string]*jsonschema.Schema{"with": {Type: "string", MaxLength: jsonschema.Ptr(64)}})
}

// EncodeSchema describes the arguments of encode.
func EncodeSchema() *jsonschema.Schema {
	s := selecting(map[string]*jsonschema.Schema{"as": {Type: "string", Enum: []any{"base64", "base64url", "hex"}}})
	s.Required = []string{"as"}
	s.AnyOf = []*jsonschema.Schema{{Required: []string{"pointers"}}, {Required: []string{"keys"}}}
	return s
}

// selecting is a schema with pointers and keys.
func selecting(more map[string]*jsonschema.Schema) *jsonschema.Schema {
	list := func(pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{
			Type: "array", MinItems: jsonschema.Ptr(1), MaxItems: jsonschema.Ptr(64),
			Items: &jsonschema.Schema{Type: "string", Pattern: pattern, MaxLength: jsonschema.Ptr(256)},
		}
	}
	more["pointers"], more["keys"] = list("^/"), list("^.")
	return &jsonschema.Schema{
		Type: "object", Properties: more, AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
}

// Mask replaces each selected value, whatever its type, by one fixed text.
// Without a selection it replaces every scalar value.
func Mask(dst, doc, args []byte) ([]byte, bool, error) {
	var a maskArgs
	if err := json.Unmarshal(args, &a); len(args) > 0 && err != nil {
		return dst, false, fmt.Errorf("mask arguments: %w", err)
	}
	with := Masked
	if a.With != nil {
		with = *a.With
	}
	quoted, err := json.Marshal(with)
	if err != nil {
		return dst, false, err
	}
	return edit(dst, doc, newSelection(a.Pointers, a.Keys), func(dst, _ []byte) []byte { return append(dst, quoted...) })
}

type encodeArgs struct {
	As       string   `json:"as"`
	Pointers []string `json:"pointers"`
	Keys     []string `json:"keys"`
}

// Encode replaces each selected value by its encoding: of the text of a string,
// of the JSON of anything else.
func Encode(dst, doc, args []byte) ([]byte, bool, error) {
	var a encodeArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return dst, false, fmt.Errorf("encode arguments: %w", err)
	}
	fn := map[string]func(dst, src []byte) []byte{
		"base64": base64.StdEncoding.AppendEncode, "base64url": base64.RawURLEncoding.AppendEncode, "hex": hex.AppendEncode,
	}[a.As]
	if fn == nil {
		return dst, false, fmt.Errorf("encode arguments: unknown encoding")
	}
	return edit(dst, doc, newSelection(a.Pointers, a.Keys), func(dst, value []byte) []byte {
		return append(fn(append(dst, '"'), []byte(text(value))), '"')
	})
}
