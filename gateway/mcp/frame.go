package mcp

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// maxID bounds a request id in bytes: it is echoed.
const maxID = 256

// message is one JSON-RPC message. What it holds are slices of the bytes that came.
type message struct {
	id     jsontext.Value // string or integer, nil for a notification
	method string         // empty for a response
	params object
	meta   meta           // params._meta
	result jsontext.Value // of a response
	fault  jsontext.Value // of a response
}

func (m *message) isResponse() bool     { return m.method == "" }
func (m *message) isNotification() bool { return m.method != "" && m.id == nil }

// parse reads one strict JSON-RPC message (JSON-RPC 2.0 section 4; MCP, base
// protocol). The message holds its id and method even beside a fault, as far as they
// are legal.
func parse(raw []byte) (message, *Fault) {
	if err := op.CheckJSON(raw); err != nil {
		return message{}, badRequest(CodeParse, "parse error: not one strict JSON value")
	}
	raw = bytes.TrimLeft(raw, " \t\r\n")
	switch raw[0] {
	case '{':
	case '[':
		return message{}, badRequest(CodeInvalidRequest, "batches are not supported here: send one message at a time (MCP 2025-03-26 alone has them, in a session)")
	default:
		return message{}, badRequest(CodeInvalidRequest, "a message is a JSON object")
	}
	return readMessage(raw)
}

// readMessage reads the members of a message.
func readMessage(raw jsontext.Value) (m message, f *Fault) {
	var version, method, params jsontext.Value
	for name, value := range members(raw) {
		switch name {
		case "jsonrpc":
			version = value
		case "id":
			m.id = value
		case "method":
			method = value
		case "params":
			params = value
		case "result":
			m.result = value
		case "error":
			m.fault = value
		default:
			f = badRequest(CodeInvalidRequest, "unknown or misspelt member")
		}
	}
	if m.id != nil && !legalID(m.id) {
		m.id = nil
		return m, badRequest(CodeInvalidRequest, "the id must be an integer or a short string")
	}
	if f == nil {
		f = m.check(version, method)
	}
	if f == nil {
		f = m.readParams(params)
	}
	return m, f
}

// check holds the frame against JSON-RPC.
func (m *message) check(version, method jsontext.Value) *Fault {
	if string(version) != `"2.0"` {
		return badRequest(CodeInvalidRequest, `jsonrpc must be "2.0"`)
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

// readParams reads what every method's params may have.
func (m *message) readParams(raw jsontext.Value) *Fault {
	var err error
	if m.params, err = readObject(raw); err != nil {
		return badRequest(CodeInvalidRequest, "params "+err.Error())
	}
	if m.meta, err = readMeta(m.params); err != nil {
		return badRequest(CodeInvalidParams, "params: "+err.Error())
	}
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
