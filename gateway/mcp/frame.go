package mcp

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// maxID bounds a request id in bytes: it is echoed.
const maxID = 256

// message is one JSON-RPC message, its parts as the bytes that came.
type message struct {
	id     jsontext.Value // string or integer, nil for a notification
	method string         // empty for a response
	params jsontext.Value // an object, nil when absent
	result jsontext.Value // of a response
	fault  jsontext.Value // of a response
}

func (m *message) isResponse() bool     { return m.method == "" }
func (m *message) isNotification() bool { return m.method != "" && m.id == nil }

// parse reads one strict JSON-RPC message (JSON-RPC 2.0 section 4; MCP, base
// protocol). The message holds its id even beside a fault, when it has a legal one.
func parse(raw []byte) (message, *Fault) {
	if err := op.CheckJSON(raw); err != nil {
		return message{}, badRequest(CodeParse, "parse error: not one strict JSON value")
	}
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if raw[0] == '[' {
		return message{}, badRequest(CodeInvalidRequest, "batches are not supported")
	}
	f, err := fields(raw, "jsonrpc", "id", "method", "params", "result", "error", nothingElse)
	if err != nil {
		return message{id: idOf(raw)}, badRequest(CodeInvalidRequest, err.Error())
	}
	m := message{params: f[3], result: f[4], fault: f[5]}
	if f[1] != nil {
		if !legalID(f[1]) {
			return message{}, badRequest(CodeInvalidRequest, "the id must be an integer or a short string")
		}
		m.id = f[1]
	}
	return m, m.check(f[0], f[2])
}

// idOf returns the legal id of an object that is otherwise no message, nil when there is
// none: who waits for an answer to it shall have one.
func idOf(raw jsontext.Value) jsontext.Value {
	f, err := fields(raw, "id")
	if err != nil || f[0] == nil || !legalID(f[0]) {
		return nil
	}
	return f[0]
}

func (m *message) check(version, method jsontext.Value) *Fault {
	if string(version) != `"2.0"` {
		return badRequest(CodeInvalidRequest, `jsonrpc must be "2.0"`)
	}
	if m.params != nil && m.params.Kind() != '{' {
		return badRequest(CodeInvalidRequest, "params must be an object")
	}
	outcome := m.result != nil || m.fault != nil
	if method == nil {
		if m.id == nil || !outcome || (m.result != nil && m.fault != nil) {
			return badRequest(CodeInvalidRequest, "neither a request nor a response")
		}
		return nil
	}
	name, ok := text(method)
	if !ok || name == "" || outcome {
		return badRequest(CodeInvalidRequest, "the method must be a name, without a result")
	}
	m.method = name
	return nil
}

// legalID accepts short strings and integers (MCP forbids null; a fraction or an
// exponent would not survive other people's number types).
func legalID(v jsontext.Value) bool {
	switch v.Kind() {
	case '"':
		return len(v) <= maxID
	case '0':
		return len(v) <= 64 && !bytes.ContainsAny(v, ".eE")
	}
	return false
}

// nothingElse as the last name makes fields refuse names that are not asked for.
const nothingElse = ""

var errNotObject = errors.New("not an object")

// fields returns the members of a checked JSON object by exact name, nil for
// absent ones. A name that differs from one asked for in case alone is refused:
// somebody else's parser may take the one for the other.
func fields(raw jsontext.Value, names ...string) ([]jsontext.Value, error) {
	out := make([]jsontext.Value, len(names))
	if raw == nil {
		return out, nil
	}
	if raw.Kind() != '{' {
		return nil, errNotObject
	}
	strict := names[len(names)-1] == nothingElse
	for key, val := range members(raw) {
		if i := slices.Index(names, key); i >= 0 && key != nothingElse {
			out[i] = val
			continue
		}
		variant := func(n string) bool { return strings.EqualFold(n, key) }
		if strict || slices.ContainsFunc(names, variant) {
			return nil, errors.New("unknown or misspelt member")
		}
	}
	return out, nil
}

// members walks an object that CheckJSON has accepted. The values are slices of raw.
func members(raw jsontext.Value) func(yield func(string, jsontext.Value) bool) {
	return func(yield func(string, jsontext.Value) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() == '"' {
			tok, err := dec.ReadToken()
			if err != nil {
				return
			}
			key := tok.String()
			val, err := dec.ReadValue()
			if err != nil {
				return
			}
			end := int(dec.InputOffset())
			if !yield(key, raw[end-len(val):end:end]) {
				return
			}
		}
	}
}

// text returns the string that v is.
func text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// texts returns the strings that v, a list, holds.
func texts(v jsontext.Value) ([]string, bool) {
	var out []string
	ok := v.Kind() == '[' && json.Unmarshal(v, &out) == nil
	return out, ok
}
