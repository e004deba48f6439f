package mcp

import (
	"context"
	"net/http"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// operations makes the provider of the catalogue: each operation is a tool, secrets
// are resources, and prompts put operations together.
func operations(s *Server) Provider {
	p := Provider{
		Prompts: operationPrompts(s), Resources: listSecrets, Templates: secretTemplates,
		Read: readSecret, Topic: secretTopic, Complete: completeNames,
	}
	for _, o := range s.Catalogue.All() {
		if o.VaultAPI {
			continue
		}
		t := &operation{Op: o, alias: underscored(o.Name), entries: newEntries()}
		p.Tools = append(p.Tools, Tool{Name: o.Name, Alias: t.alias, Offer: t.offer, Call: t.call, byCall: true})
	}
	return p
}

func underscored(name string) string { return strings.ReplaceAll(name, ".", "_") }

// operation is an operation as a tool.
type operation struct {
	*op.Op
	alias   string
	entries *entries
}

// offer is the entry of tools/list, encoded once for each set of names that callers
// may use with the operation.
func (o *operation) offer(ctx context.Context, ex *Exchange) jsontext.Value {
	if !ex.mayCall(ctx, o.Op) {
		return nil
	}
	name := o.alias
	if ex.server.dotted() {
		name = o.Name
	}
	return o.entries.get(name, ex.names(ctx, o.Op), o.Op)
}

// mayCall reports whether some call of an operation could be allowed, and the client
// wants to see it.
func (ex *Exchange) mayCall(ctx context.Context, o *op.Op) bool {
	return !o.VaultAPI && ex.sees(o) && ex.server.Callable(ctx, ex.Caller, o)
}

// names are the keys or roles that the caller may use with an operation, nil when
// they are not known.
func (ex *Exchange) names(ctx context.Context, o *op.Op) []string {
	if ex.server.Names == nil {
		return nil
	}
	names, ok := ex.server.Names(ctx, ex.Caller, o)
	if !ok {
		return nil
	}
	return names
}

// call sends the call through the pipeline. What goes wrong there is a result,
// which the model sees, and not a protocol fault.
func (o *operation) call(ctx context.Context, ex *Exchange, args jsontext.Value) (jsontext.Value, error) {
	req := op.Request{Op: o.Name, Args: args}
	if err := ask(&req, &ex.msg.Meta); err != nil {
		return nil, ex.unreadable(ctx, ex.faultOf(err))
	}
	res, err := ex.do(ctx, req)
	ex.completed(o.Name)
	if err == nil {
		ex.Progress(1, 1, "")
		defer res.Done()
		return toolResult(res.Body), nil
	}
	if ex.stepUp(err) {
		return nil, ex.challenge(err)
	}
	return toolError(refusal{protocol.Answer{Request: res.RequestID, Decision: res.DecisionID}.WireError(err), ctx, o.Op, ex}), nil
}

// completed tells the caller's own streams of a call, whatever came of it.
func (ex *Exchange) completed(name string) {
	if l := ex.server.Events; l != nil {
		l.Publish(events.Event{
			Kind: events.ToolCompleted, Op: name, Subject: ex.Caller.Subject, Owner: ex.Caller.Holder(), Source: events.FromGateway,
		})
	}
}

// stepUp reports whether more scopes are all that a bearer caller lacks.
func (ex *Exchange) stepUp(err *call.Error) bool {
	return err.Code == call.InsufficientScope && ex.Caller.Method == call.JWT && ex.server.Challenge != nil && ex.http != nil
}

// challenge asks for more scopes (MCP 2025-11-25, authorization, step-up; RFC 6750 section 3.1).
func (ex *Exchange) challenge(err *call.Error) *protocol.Fault {
	f := protocol.Answer{Request: ex.requestID}.Fault(err)
	f.Status = http.StatusForbidden
	f.Header = http.Header{"Www-Authenticate": {ex.server.Challenge(ex.http, err)}}
	return f
}
