package mcp

import (
	"context"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// behalf makes of the sender the caller with the second credential that the message has
// in its _meta. One that is not good is on record as the caller's.
func (ex *Exchange) behalf(ctx context.Context) *call.Error {
	v := ex.msg.Meta.Behalf
	if v == nil {
		return nil
	}
	ex.msg.Meta.Behalf = nil // it is of no more use to anybody
	credential, ok := protocol.Text(v)
	if !ok || ex.server.Behalf == nil {
		return ex.settle(ctx, op.Request{Op: recordedAs(ex.msg.Method), Bad: call.Errorf(call.InvalidRequest, "%s: not a text that this endpoint takes", protocol.MetaBehalf)})
	}
	c, err := ex.server.Behalf(ctx, ex.Caller, credential)
	if err != nil {
		return ex.settle(ctx, op.Request{Op: recordedAs(ex.msg.Method), Bad: err})
	}
	ex.Caller = c
	return nil
}
