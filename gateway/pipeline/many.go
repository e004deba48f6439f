package pipeline

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// each does the calls that one stands for, one after the other, each in the whole
// order of a call. What stands for them opens no session and so needs no grant: it can
// do nothing that its parts may not.
func (p *Pipeline) each(ctx context.Context, rec *op.Record, requests []*op.Request) ([]byte, error) {
	parts := make([]op.Part, len(requests))
	for i, r := range requests {
		if err := ctx.Err(); err != nil {
			return nil, call.Wrap(call.Canceled, "the caller has gone away", err)
		}
		res, err := p.Do(ctx, r)
		defer res.Done() // when all are encoded
		parts[i] = op.Part{DecisionID: res.DecisionID, Body: res.Body, Err: call.AsError(err)}
	}
	if err := p.withdrawn(rec); err != nil {
		return nil, p.refuse(rec, err)
	}
	return op.Encode(rec.Bound.Gather(parts))
}
