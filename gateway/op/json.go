package op

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// MaxDepth bounds the nesting of any JSON that a caller sends.
const MaxDepth = 64

// inPlace decodes a text where it stands: the decoder copies what comes from another reader
// than a bytes.Buffer, and doubles its own as it does.
func inPlace(raw []byte, o ...jsontext.Options) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(raw), o...)
}

// CheckJSON reports whether raw is one strict JSON value (RFC 8259): valid UTF-8,
// no duplicate keys, nothing behind it, nested at most MaxDepth deep. Errors are
// InvalidRequest and quote nothing of raw.
func CheckJSON(raw []byte) error {
	dec := inPlace(raw)
	for {
		if _, err := dec.ReadToken(); err != nil {
			return badJSON(raw, err)
		}
		if dec.StackDepth() > MaxDepth {
			return call.Errorf(call.InvalidRequest, "the JSON is nested deeper than %d", MaxDepth)
		}
		if dec.StackDepth() == 0 {
			break
		}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return call.Errorf(call.InvalidRequest, "there is something behind the JSON value, from %s on", where(raw, dec.InputOffset()))
	}
	return nil
}

// badJSON says what is wrong with a JSON text, and where.
func badJSON(raw []byte, err error) error {
	var syntax *jsontext.SyntacticError
	place, end := "", int64(len(raw))
	if errors.As(err, &syntax) {
		place = " at " + where(raw, syntax.ByteOffset)
		end = syntax.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return call.Wrap(call.InvalidRequest, "the JSON has a duplicate key"+place, nil)
	case errors.Is(err, io.ErrUnexpectedEOF) || end >= int64(len(raw)):
		return call.Wrap(call.InvalidRequest, "the body is not valid JSON: it ends too early"+place, nil)
	}
	return call.Wrap(call.InvalidRequest, "the body is not valid JSON"+place, nil)
}

// where is a place in a text for people: line and column, counted from 1 in bytes.
func where(raw []byte, offset int64) string {
	before := raw[:min(max(offset, 0), int64(len(raw)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// unmarshal decodes arguments strictly: names match exactly and unknown ones are
// refused. Errors are InvalidRequest and name the place, never a value.
func unmarshal(raw []byte, v any) error {
	err := json.Unmarshal(raw, v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var own *call.Error
	if errors.As(err, &own) {
		return &call.Error{Code: own.Code, Msg: at(err) + own.Msg}
	}
	if errors.Is(err, json.ErrUnknownName) {
		return call.Errorf(call.InvalidRequest, "%sunknown member", at(err))
	}
	return call.Errorf(call.InvalidRequest, "%snot of the type that the schema asks for", at(err))
}

// at names the top-level argument that an error is about. Only names that the
// schema could know are repeated; a caller's free text is not.
func at(err error) string {
	var sem *json.SemanticError
	if !errors.As(err, &sem) {
		return ""
	}
	for tok := range sem.JSONPointer.Tokens() {
		if n, perr := call.ParseName(tok); perr == nil {
			return "argument " + string(n) + ": "
		}
		break
	}
	return ""
}

// reveal are the marshalers that write secret values in the clear.
func reveal() *json.Marshalers {
	return json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, s call.Secret) error {
			return enc.WriteToken(jsontext.String(s.Reveal()))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, s call.SecretJSON) error {
			return enc.WriteValue(s.Reveal())
		}),
	)
}

var replyOptions = json.JoinOptions(json.WithMarshalers(reveal()), json.Deterministic(true))

// masked is what stands for a secret value in an answer without values.
const masked = "[masked]"

// mask are the marshalers that keep the structure of secret values and drop the
// values: a string becomes a fixed text, what stands in a JSON value null.
func mask() *json.Marshalers {
	return json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, _ call.Secret) error {
			return enc.WriteToken(jsontext.String(masked))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, s call.SecretJSON) error {
			return maskValue(enc, inPlace(s.Reveal()))
		}),
	)
}

// maskValue copies one value with every leaf but the names of objects as null.
func maskValue(enc *jsontext.Encoder, dec *jsontext.Decoder) error {
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return errors.New("a secret value is not valid JSON")
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		name := kind == '{' && n%2 == 1 && tok.Kind() == '"'
		if k := tok.Kind(); !name && k != '{' && k != '}' && k != '[' && k != ']' {
			tok = jsontext.Null
		}
		if err := enc.WriteToken(tok); err != nil || dec.StackDepth() == 0 {
			return err
		}
	}
}

var maskOptions = json.JoinOptions(json.WithMarshalers(mask()), json.Deterministic(true))

// EncodeMasked is Encode without secret values: keys stay, values do not.
func EncodeMasked(out any) ([]byte, error) { return json.Marshal(out, maskOptions) }

// WithWarnings is a result, a JSON object, with what Vault has warned of beside it.
// Without a warning it is the result itself.
func WithWarnings(body []byte, warnings []string) ([]byte, error) {
	end := bytes.LastIndexByte(body, '}')
	if len(warnings) == 0 || end < 0 {
		return body, nil
	}
	raw, err := json.Marshal(warnings)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(body)+len(raw)+16), bytes.TrimRight(body[:end], " \n\t")...)
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	return append(append(append(out, `"warnings":`...), raw...), '}'), nil
}

// Encode returns an operation's output as JSON with its secrets in the clear. It
// is the one place where secrets become bytes.
func Encode(out any) ([]byte, error) {
	if a, ok := out.(Appender); ok {
		if b := a.AppendJSON(nil); b != nil {
			return b, nil
		}
	}
	return json.Marshal(out, replyOptions)
}

// Appender is implemented by outputs with a secret that may be large. What was decoded
// has been checked, and is appended as it came, on one line.
type Appender interface {
	// AppendJSON appends what Encode would return otherwise, but for the escapes within
	// strings. It returns nil when it cannot.
	AppendJSON(b []byte) []byte
}

// Lender is implemented by outputs that may be encoded in memory that is used again.
type Lender interface {
	// Lent returns what gives the memory of an encoded output back, nil when it is not
	// such memory.
	Lent(body []byte) func()
}

// OneLine reports whether a JSON text that is valid can be a part of a line.
func OneLine(raw []byte) bool {
	return bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0
}
