package protocol

import (
	"math"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// The JSON-RPC error codes (JSON-RPC 2.0 section 5.1; MCP 2026-07-28, error
// codes). CodeCall is ours and lies outside both reserved ranges: a resource or
// prompt could not be had, and data says why.
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeNotFoundLegacy     = -32002 // resource not found, up to 2025-11-25
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
	CodeCall               = -31000
)

// Fault is a protocol fault: it is answered as a JSON-RPC error.
type Fault struct {
	Code int    // JSON-RPC error code
	Msg  string // for the caller: fixed text
	Data any    // public facts, may be nil

	Status int         // HTTP status, 0 for 200
	Header http.Header // more response headers, may be nil
}

// Error implements error.
func (f *Fault) Error() string { return f.Msg }

// Cause is the code that evidence has of the fault: that of the call.Error that it was made
// of, else of a request that cannot be fulfilled.
func (f *Fault) Cause() *call.Error {
	code := call.InvalidRequest
	if w, ok := f.Data.(WireError); ok {
		code = w.Code
	} else if f.Code == CodeInternal {
		code = call.Internal
	}
	return call.Errorf(code, "%s", f.Msg)
}

// InvalidParams is the fault of a method whose params cannot be used.
func InvalidParams(msg string) *Fault { return &Fault{Code: CodeInvalidParams, Msg: msg} }

// BadRequest is a fault of the frame: the whole POST is refused with 400.
func BadRequest(code int, msg string) *Fault {
	return &Fault{Code: code, Msg: msg, Status: http.StatusBadRequest}
}

// UnknownMethod is the fault of a message whose method does not exist: over HTTP it is
// answered with 404.
func UnknownMethod() *Fault {
	return &Fault{Code: CodeMethodNotFound, Msg: "unknown method", Status: http.StatusNotFound}
}

// WireError is the public face of a call.Error.
type WireError struct {
	Code       call.Code `json:"code"`
	Message    string    `json:"message"`
	DecisionID string    `json:"decision_id,omitempty"`
	RequestID  string    `json:"request_id,omitempty"`
	RetryAfter int       `json:"retry_after_s,omitzero"`
	Scopes     []string  `json:"required_scopes,omitempty"`
	Details    any       `json:"details,omitempty"`
}

// WireError is the public face of a failed call.
func (a Answer) WireError(e *call.Error) WireError {
	return WireError{
		Code: e.Code, Message: e.Msg, DecisionID: a.Decision, RequestID: a.Request,
		RetryAfter: int(math.Ceil(e.Wait().Seconds())), Scopes: e.Scopes, Details: e.Data,
	}
}

// Answer names the call that an error belongs to.
type Answer struct{ Request, Decision string }

// Fault turns a failed call into a JSON-RPC error, for the methods whose results
// have no place for one.
func (a Answer) Fault(e *call.Error) *Fault {
	switch e.Code {
	case call.InvalidRequest:
		return InvalidParams(e.Msg)
	case call.Internal:
		return &Fault{Code: CodeInternal, Msg: e.Msg, Data: a.WireError(e)}
	default:
		return &Fault{Code: CodeCall, Msg: e.Msg, Data: a.WireError(e)}
	}
}

// EncodeFault encodes a JSON-RPC error; a nil id is null.
func EncodeFault(id jsontext.Value, f *Fault) []byte {
	if id == nil {
		id = jsontext.Value("null")
	}
	type wire struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}
	return MustJSON(struct {
		Version string         `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
		Error   wire           `json:"error"`
	}{"2.0", id, wire{f.Code, f.Msg, f.Data}})
}

// MustJSON encodes a value of ours, which cannot fail.
func MustJSON(v any) jsontext.Value {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return b
}
