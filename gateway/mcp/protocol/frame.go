// Package protocol has the messages of JSON-RPC and MCP: how they are read, checked and
// written, one in a line on stdio and with headers over HTTP.
package protocol

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// maxID bounds a request id in bytes: it is echoed.
const maxID = 256

// Message is one JSON-RPC message. What it holds are slices of the bytes that came.
type Message struct {
	ID     jsontext.Value // string or integer, nil for a notification
	Method string         // empty for a response
	Params Object
	Meta   Meta           // params._meta
	Result jsontext.Value // of a response
	Fault  jsontext.Value // of a response
}

// IsResponse reports whether the message answers a request.
func (m *Message) IsResponse() bool { return m.Method == "" }

// IsNotification reports whether the message wants no answer.
func (m *Message) IsNotification() bool { return m.Method != "" && m.ID == nil }

// Parse reads one strict JSON-RPC message (JSON-RPC 2.0 section 4; MCP, base
// protocol). The message holds its id and method even beside a fault, as far as they
// are legal.
func Parse(raw []byte) (Message, *Fault) {
	if err := op.CheckJSON(raw); err != nil {
		return Message{}, BadRequest(CodeParse, "parse error: not one strict JSON value")
	}
	raw = bytes.TrimLeft(raw, " \t\r\n")
	switch raw[0] {
	case '{':
	case '[':
		return Message{}, BadRequest(CodeInvalidRequest, "batches are not supported here: send one message at a time (MCP 2025-03-26 alone has them, in a session)")
	default:
		return Message{}, BadRequest(CodeInvalidRequest, "a message is a JSON object")
	}
	return readMessage(raw)
}

// readMessage reads the members of a message.
func readMessage(raw jsontext.Value) (m Message, f *Fault) {
	var version, method, params jsontext.Value
	for name, value := range members(raw) {
		switch name {
		case "jsonrpc":
			version = value
		case "id":
			m.ID = value
		case "method":
			method = value
		case "params":
			params = value
		case "result":
			m.Result = value
		case "error":
			m.Fault = value
		default:
			f = BadRequest(CodeInvalidRequest, "unknown or misspelt member")
		}
	}
	if m.ID != nil && !legalID(m.ID) {
		m.ID = nil
		return m, BadRequest(CodeInvalidRequest, "the id must be an integer or a short string")
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
func (m *Message) check(version, method jsontext.Value) *Fault {
	if string(version) != `"2.0"` {
		return BadRequest(CodeInvalidRequest, `jsonrpc must be "2.0"`)
	}
	outcome := m.Result != nil || m.Fault != nil
	if method == nil {
		if m.ID == nil || !outcome || (m.Result != nil && m.Fault != nil) {
			return BadRequest(CodeInvalidRequest, "neither a request nor a response")
		}
		return nil
	}
	name, ok := Text(method)
	if !ok || name == "" || outcome {
		return BadRequest(CodeInvalidRequest, "the method must be a name, without a result")
	}
	m.Method = name
	return nil
}

// readParams reads what every method's params may have.
func (m *Message) readParams(raw jsontext.Value) *Fault {
	var err error
	if m.Params, err = readObject(raw); err != nil {
		return BadRequest(CodeInvalidRequest, "params "+err.Error())
	}
	if m.Meta, err = readMeta(m.Params); err != nil {
		return BadRequest(CodeInvalidParams, "params: "+err.Error())
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

// maxBatch bounds the messages of a batch.
const maxBatch = 50

// ParseBatch reads the messages of a batch. Its requests have ids of their own.
func ParseBatch(raw []byte) ([]Message, *Fault) {
	if op.CheckJSON(raw) != nil {
		return nil, BadRequest(CodeParse, "parse error: not one strict JSON value")
	}
	var list []jsontext.Value
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxBatch {
		return nil, BadRequest(CodeInvalidRequest, "a batch has 1 to 50 messages")
	}
	out := make([]Message, len(list))
	ids := map[string]bool{}
	for i, item := range list {
		m, f := Parse(item)
		request := f == nil && !m.IsResponse() && !m.IsNotification()
		if f != nil || m.Method == "initialize" || request && ids[string(m.ID)] {
			return nil, BadRequest(CodeInvalidRequest, "a message of the batch is not one, or an id is there twice")
		}
		ids[string(m.ID)] = ids[string(m.ID)] || request
		out[i] = m
	}
	return out, nil
}

// Notification encodes a notification.
func Notification(method string, params any) []byte {
	return MustJSON(struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", method, params})
}
