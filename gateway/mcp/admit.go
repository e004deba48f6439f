package mcp

import (
	"context"
	"errors"
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

// pay charges for the exchange and runs it, once: what keeps something is on record
// between its intent and its outcome. A refusal is a *call.Error, any other error that of run.
func (ex *Exchange) pay(ctx context.Context, d due, run func(context.Context) error) error {
	if d == free || d == byCall || ex.admitted {
		return run(ctx)
	}
	ex.admitted = true
	if d == asEvent {
		return ex.keep(ctx, run)
	}
	if err := ex.settle(ctx, op.Request{Op: recordedAs(ex.msg.Method), Phase: op.PhaseList}); err != nil {
		ex.logRefusal(err)
		return err
	}
	return run(ctx)
}

// keep does what makes the gateway keep something.
func (ex *Exchange) keep(ctx context.Context, act func(context.Context) error) (err error) {
	if ex.server.Change == nil {
		return act(ctx)
	}
	r, done := ex.settled(op.Request{Op: recordedAs(ex.msg.Method)}), false
	refused := ex.server.Change(ctx, r, func(ctx context.Context) error {
		done, err = true, act(ctx)
		return recorded(err)
	})
	if done || refused == nil {
		return err
	}
	e := call.AsError(refused)
	ex.logRefusal(e)
	return e
}

// recorded is an error as evidence has it: a fault of the protocol is a request that cannot
// be fulfilled, and a question to the client is none.
func recorded(err error) error {
	if _, asks := errors.AsType[*InputRequired](err); asks {
		return nil
	}
	if f, ok := errors.AsType[*protocol.Fault](err); ok {
		return f.Cause()
	}
	return err
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
	return call.AsError(ex.server.Admit(ctx, ex.settled(r)))
}

// settled is a request of this exchange that is no operation.
func (ex *Exchange) settled(r op.Request) *op.Request {
	r.ID, r.Transport, r.Caller = ex.requestID, ex.transport, ex.Caller
	return &r
}

// recordedAs is the name of a method in evidence.
func recordedAs(method string) string {
	return "mcp." + strings.ReplaceAll(method, "/", "_")
}

// refuse answers a message over HTTP that is no call.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, ex *Exchange, f *protocol.Fault) {
	s.writeFault(w, ex.msg.ID, ex.unreadable(r.Context(), f))
}
