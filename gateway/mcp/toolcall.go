package mcp

import (
	"context"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// callTool calls a tool (tools/call).
func (ex *Exchange) callTool(ctx context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "name", "arguments", "_meta", "inputResponses", "requestState")
	if err != nil {
		return result{}, invalidParams("params: " + err.Error())
	}
	name, ok := text(f[0])
	if !ok {
		return result{}, invalidParams("the tool's name is missing")
	}
	if f[1] != nil && f[1].Kind() != '{' {
		return result{}, invalidParams("the arguments must be an object")
	}
	t := ex.server.byName[name]
	switch {
	case t == nil:
		return result{}, unknownTool()
	case t.op == nil:
		return ex.callExtra(ctx, t.extra, f)
	}
	req := op.Request{Op: t.op.Name, Args: f[1]}
	if err := ask(&req, f[2]); err != nil {
		return result{}, err
	}
	return ex.callOp(ctx, t, req)
}

// unknownTool is also the answer for a tool that the caller could never call.
func unknownTool() *Fault { return invalidParams("unknown tool") }

// callOp sends the call through the pipeline. What goes wrong there is a result,
// which the model sees, and not a protocol fault.
func (ex *Exchange) callOp(ctx context.Context, t *tool, req op.Request) (result, error) {
	res, err := ex.do(ctx, req)
	ex.completed(t.op.Name)
	if err == nil {
		ex.Progress(1, 1, "")
		return result{body: toolResult(res.Body)}, nil
	}
	if ex.stepUp(err) {
		return result{}, ex.challenge(err)
	}
	if !ex.mayCall(ctx, t) {
		return result{}, unknownTool()
	}
	return result{body: toolError(answer{res.RequestID, res.DecisionID}.wireError(err))}, nil
}

// completed tells the caller's own streams of a call, whatever came of it.
func (ex *Exchange) completed(name string) {
	if l := ex.server.Events; l != nil {
		l.Publish(events.Event{
			Kind: events.ToolCompleted, Op: name, Subject: ex.Caller.Subject, Owner: ex.Caller.Key(), Source: events.FromGateway,
		})
	}
}

// stepUp reports whether more scopes are all that a bearer caller lacks.
func (ex *Exchange) stepUp(err *call.Error) bool {
	return err.Code == call.InsufficientScope && ex.Caller.Method == call.JWT && ex.server.Challenge != nil && ex.http != nil
}

// challenge asks for more scopes (MCP 2025-11-25, authorization, step-up; RFC 6750 section 3.1).
func (ex *Exchange) challenge(err *call.Error) *Fault {
	f := answer{request: ex.requestID}.fault(err)
	f.status = http.StatusForbidden
	f.header = http.Header{"Www-Authenticate": {ex.server.Challenge(ex.http, err)}}
	return f
}

// toolResult wraps an operation's output: as text for old clients, as structured
// content for the others.
func toolResult(body []byte) jsontext.Value {
	b := make([]byte, 0, 2*len(body)+len(body)/4+96)
	b = append(b, `{"content":[{"type":"text","text":`...)
	b, err := jsontext.AppendQuote(b, body)
	if err != nil {
		panic(err) // the pipeline's results are valid UTF-8
	}
	b = append(b, `}],"structuredContent":`...)
	b = append(b, body...)
	return append(b, '}')
}

// toolError is a failed call as a result.
func toolError(e wireError) jsontext.Value {
	msg := string(e.Code) + ": " + e.Message
	if e.RetryAfter > 0 {
		msg += "; try again in " + strconv.Itoa(e.RetryAfter) + " s"
	}
	type content struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type structured struct {
		Error wireError `json:"error"`
	}
	return mustJSON(struct {
		Content    []content  `json:"content"`
		Structured structured `json:"structuredContent"`
		IsError    bool       `json:"isError"`
	}{[]content{{"text", msg}}, structured{e}, true})
}
