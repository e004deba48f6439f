package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
	"portcullis/gateway/transform/guest"
)

// The shapes that a module of the response hook can declare.
const (
	// shapeSame: the result still fits the operation's output schema.
	shapeSame = "same"
	// shapeMasked: it does but for places whose value has become a text.
	shapeMasked = "masked"
	// shapeOther: any JSON object; what reads the result must know the module.
	shapeOther = "other"
)

// shape is what the module makes of a result. A module that declares nothing may
// mask and nothing else.
func (e *Entry) shape() string {
	if e.Shape == "" {
		return shapeMasked
	}
	return e.Shape
}

func validShape(s string) bool {
	return s == "" || slices.Contains([]string{shapeSame, shapeMasked, shapeOther}, s)
}

// checkOutput refuses what a guest must not return: for logs anything but one object
// on one line, for arguments and results of an operation anything but one strict JSON
// object without a key twice, and for results what has another shape than the module
// declares.
func (s *step) checkOutput(h guest.Hook, out []byte) error {
	if !Valid(h, out) {
		return &guest.Fault{Code: guest.Output}
	}
	if h == guest.Log || h == guest.Response && s.result == nil {
		return nil
	}
	if op.CheckJSON(out) != nil || !isObject(out) {
		return &guest.Fault{Code: guest.Output, Err: errors.New("the output is not one JSON object without a key twice")}
	}
	if h != guest.Response || s.shape() == shapeOther {
		return nil
	}
	schema, err := s.result.schema(s.shape())
	if err != nil {
		return &guest.Fault{Code: guest.Output, Err: err}
	}
	var v any
	if json.Unmarshal(out, &v) != nil || schema.Validate(v) != nil {
		return &guest.Fault{Code: guest.Output, Err: fmt.Errorf("the result does not have the shape %q, which the manifest declares", s.shape())}
	}
	return nil
}

// Result is what the result of one operation must look like. It is worked out when the
// output of a module is first held against it: most operations have none.
type Result struct {
	same, masked func() (*jsonschema.Resolved, error)
}

// NewResult derives it from the operation's output schema.
func NewResult(out *jsonschema.Schema) *Result {
	of := func(shape string) func() (*jsonschema.Resolved, error) {
		return sync.OnceValues(func() (*jsonschema.Resolved, error) { return relax(out, shape) })
	}
	return &Result{same: of(shapeSame), masked: of(shapeMasked)}
}

func (r *Result) schema(shape string) (*jsonschema.Resolved, error) {
	if shape == shapeSame {
		return r.same()
	}
	return r.masked()
}

// relax copies a schema so that it also takes what a masked delivery shows, which is
// null in place of a value, and for the shape "masked" texts and missing members.
func relax(out *jsonschema.Schema, shape string) (*jsonschema.Resolved, error) {
	text, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	s := &jsonschema.Schema{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	relaxMembers(s, shape)
	return s.Resolve(nil)
}

func relaxMembers(s *jsonschema.Schema, shape string) {
	if shape == shapeMasked {
		s.Required = nil
	}
	for _, p := range s.Properties {
		relaxValue(p, shape)
	}
	for _, p := range []*jsonschema.Schema{s.Items, s.AdditionalProperties} {
		if p != nil && p.Not == nil {
			relaxValue(p, shape)
		}
	}
}

func relaxValue(s *jsonschema.Schema, shape string) {
	relaxMembers(s, shape)
	if s.Type != "" {
		s.Types, s.Type = []string{s.Type}, ""
	}
	if len(s.Types) == 0 {
		return // takes everything already
	}
	s.Types = append(s.Types, "null")
	if shape == shapeMasked {
		s.Types = append(s.Types, "string")
		s.Pattern, s.Format, s.Enum, s.MinLength, s.MaxLength = "", "", nil, nil, nil
	}
	slices.Sort(s.Types)
	s.Types = slices.Compact(s.Types)
}

// Valid is what the output of a guest must be at least, whatever it says.
func Valid(h guest.Hook, out []byte) bool {
	if !utf8.Valid(out) || !json.Valid(out) {
		return false
	}
	return h != guest.Log || out[0] == '{' && bytes.IndexByte(out, '\n') < 0
}

func isObject(out []byte) bool {
	trimmed := bytes.TrimLeft(out, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}
