package mcp

import (
	"context"
	"net/http"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// due says how a method pays: what costs the gateway something takes from the
// caller's bucket, and what makes it keep something is on record.
type due int

const (
	free    due = iota // costs no more than its own refusal would
	byCall             // its calls go through the pipeline, which charges and records them
	asList             // takes a token
	asEvent            // takes a token and is on record
)

// admit charges for the exchange and records it, once.
func (ex *Exchange) admit(ctx context.Context, d due) *call.Error {
	if d == free || d == byCall || ex.admitted {
		return nil
	}
	ex.admitted = true
	r := op.Request{Op: recordedAs(ex.msg.Method)}
	if d == asList {
		r.Phase = op.PhaseList
	}
	return ex.settle(ctx, r)
}

// unreadable puts a message that is no call on record, as an unreadable call over
// REST is, and returns what it is answered with.
func (ex *Exchange) unreadable(ctx context.Context, f *protocol.Fault) *protocol.Fault {
	name := "mcp.unknown"
	if _, known := ex.server.methods[ex.msg.Method]; known {
		name = recordedAs(ex.msg.Method)
	}
	err := ex.settle(ctx, op.Request{Op: name, Bad: call.Errorf(call.InvalidRequest, "%s", f.Msg)})
	if err == nil || err.Code == call.InvalidRequest {
		return f
	}
	return streamFault(err)
}

func (ex *Exchange) settle(ctx context.Context, r op.Request) *call.Error {
	if ex.server.Admit == nil {
		return nil
	}
	r.ID, r.Transport, r.Caller = ex.requestID, ex.transport, ex.Caller
	return call.AsError(ex.server.Admit(ctx, &r))
}

// recordedAs is the name of a method in evidence.
func recordedAs(method string) string {
	return "mcp." + strings.ReplaceAll(method, "/", "_")
}

// refuse answers a message over HTTP that is no call.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, ex *Exchange, f *protocol.Fault) {
	s.writeFault(w, ex.msg.ID, ex.unreadable(r.Context(), f))
}
