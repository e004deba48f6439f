package mcp

import (
	"math"
	"net/http"

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

	status int         // HTTP status, 0 for 200
	header http.Header // more response headers, may be nil
}

// Error implements error.
func (f *Fault) Error() string { return f.Msg }

func invalidParams(msg string) *Fault { return &Fault{Code: CodeInvalidParams, Msg: msg} }

// badRequest is a fault of the frame: the whole POST is refused with 400.
func badRequest(code int, msg string) *Fault {
	return &Fault{Code: code, Msg: msg, status: http.StatusBadRequest}
}

func unknownMethod() *Fault {
	return &Fault{Code: CodeMethodNotFound, Msg: "unknown method", status: http.StatusNotFound}
}

// wireError is the public face of a call.Error.
type wireError struct {
	Code       call.Code `json:"code"`
	Message    string    `json:"message"`
	DecisionID string    `json:"decision_id,omitempty"`
	RequestID  string    `json:"request_id,omitempty"`
	RetryAfter int       `json:"retry_after_s,omitzero"`
	Scopes     []string  `json:"required_scopes,omitempty"`
	Details    any       `json:"details,omitempty"`
}

func (a answer) wireError(e *call.Error) wireError {
	return wireError{
		Code: e.Code, Message: e.Msg, DecisionID: a.decision, RequestID: a.request,
		RetryAfter: int(math.Ceil(e.Wait().Seconds())), Scopes: e.Scopes, Details: e.Data,
	}
}

// answer names the call that an error belongs to.
type answer struct{ request, decision string }

// fault turns a failed call into a JSON-RPC error, for the methods whose results
// have no place for one.
func (a answer) fault(e *call.Error) *Fault {
	switch e.Code {
	case call.InvalidRequest:
		return invalidParams(e.Msg)
	case call.Internal:
		return &Fault{Code: CodeInternal, Msg: e.Msg, Data: a.wireError(e)}
	default:
		return &Fault{Code: CodeCall, Msg: e.Msg, Data: a.wireError(e)}
	}
}
