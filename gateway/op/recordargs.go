package op

import (
	"bytes"
	jsonv1 "encoding/json"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Redact appends the text of one value, without what must not be kept, to dst. name
// is the name that the value has, empty for none.
type Redact func(dst []byte, name string, text []byte) []byte

// MaxRecorded is how many bytes of one argument a record keeps. Of a longer one it
// keeps the beginning, the length and the SHA-256.
const MaxRecorded = 1 << 10

// ArgumentRecorder writes the arguments of calls as a record keeps them. Names that
// have a type of their own (call.Path, call.Prefix, call.Name) are kept as they are,
// secrets are [redacted] already, and each other text goes through Redact before it
// is quoted. It is safe for concurrent use.
type ArgumentRecorder struct{ options json.Options }

// NewArgumentRecorder makes a recorder. Without a function, texts are kept as they are.
func NewArgumentRecorder(redact Redact) *ArgumentRecorder {
	if redact == nil {
		redact = func(dst []byte, _ string, text []byte) []byte { return append(dst, text...) }
	}
	return &ArgumentRecorder{json.JoinOptions(json.Deterministic(true), json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, s string) error { return recordText(enc, redact, s) }),
		json.MarshalToFunc(func(enc *jsontext.Encoder, raw jsonv1.RawMessage) error { return recordJSON(enc, redact, raw) }),
	)))}
}

// Append appends the arguments, a JSON object, to dst.
func (a *ArgumentRecorder) Append(dst []byte, b *Bound) ([]byte, error) {
	before := len(dst)
	out := bytes.NewBuffer(dst)
	if err := json.MarshalWrite(out, b.input, a.options); err != nil {
		return dst, err
	}
	if out.Len()-before <= MaxRecorded {
		return out.Bytes(), nil
	}
	return boundMembers(dst, bytes.Clone(out.Bytes()[before:]))
}

// recordText writes one text. The names of a map are texts as well: they are kept.
func recordText(enc *jsontext.Encoder, redact Redact, s string) error {
	if kind, n := enc.StackIndex(enc.StackDepth()); kind == '{' && n%2 == 0 {
		return enc.WriteToken(jsontext.String(valid(s)))
	}
	text := redact(nil, enc.StackPointer().LastToken(), []byte(s))
	if len(text) <= MaxRecorded {
		return enc.WriteToken(jsontext.String(valid(string(text))))
	}
	return enc.WriteValue(shortened(text, []byte(s)))
}

// recordJSON writes a value whose form nobody has declared, text by text.
func recordJSON(enc *jsontext.Encoder, redact Redact, raw []byte) error {
	if len(raw) == 0 {
		return enc.WriteToken(jsontext.Null) // as what cannot be read
	}
	dec := inPlace(raw)
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return enc.WriteToken(jsontext.Null) // nothing that can be read
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		if name := kind == '{' && n%2 == 1; tok.Kind() == '"' && !name {
			err = recordText(enc, redact, tok.String())
		} else {
			err = enc.WriteToken(tok)
		}
		if err != nil || dec.StackDepth() == 0 {
			return err
		}
	}
}
