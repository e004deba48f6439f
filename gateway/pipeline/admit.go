package pipeline

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Admit does what Do does for a request that is no operation, reaches no Vault and makes
// the gateway keep nothing: a list, a message that cannot be read as a call. It takes from
// the caller's bucket, and a refusal is recorded before its answer. A request with Bad is
// refused with that. Any other must be in PhaseList: what makes the gateway keep something
// is for Change. Errors are *call.Error.
func (p *Pipeline) Admit(ctx context.Context, r *op.Request) (err error) {
	return p.Change(ctx, r, nil)
}

// Change admits a request that makes the gateway keep something, a session or a
// subscription, and does it between its intent and its outcome, which says what came of it.
// A panic of act is on record as an internal error, and goes on. Errors are *call.Error.
func (p *Pipeline) Change(ctx context.Context, r *op.Request, act func(context.Context) error) (err error) {
	r, unsound := sound(r)
	rec := &op.Record{Request: r, Start: time.Now()}
	if r.Time.IsZero() {
		r.Time = rec.Start
	}
	defer func() {
		rec.Err, rec.Total = call.AsError(err), time.Since(rec.Start)
		p.Log(ctx, rec)
	}()
	if unsound != nil {
		return p.refuse(rec, unsound)
	}
	if err := p.withdrawn(rec); err != nil {
		return p.refuse(rec, err)
	}
	if p.TierOf != nil {
		rec.Decision.Tier = p.TierOf(r.Caller)
	}
	if err := p.charge(rec); err != nil {
		return p.refuse(rec, err)
	}
	switch {
	case r.Phase == op.PhaseList:
		return nil
	case act == nil:
		return p.refuse(rec, call.Wrap(call.Internal, "internal error", errNothing))
	}
	return p.record(ctx, rec, act)
}

// sound returns the request, or one of nobody's with the reason why it cannot be done: a
// transport that has not authenticated its sender has a fault, and nothing may be decided,
// charged or sent for it.
func sound(r *op.Request) (*op.Request, error) {
	switch {
	case r == nil:
		return &op.Request{Caller: &call.Caller{}}, call.Wrap(call.Internal, "internal error", errNoRequest)
	case r.Caller == nil || r.Caller.Subject == "":
		nobodys := *r
		nobodys.Caller = &call.Caller{}
		return &nobodys, call.Wrap(call.Internal, "internal error", errNoCaller)
	}
	return r, nil
}

// Faults of a transport.
var (
	errNoRequest = errors.New("the transport has made no request")
	errNoCaller  = errors.New("the transport has named no caller")
	errNothing   = errors.New("the transport has put something on record that it does not do")
)

// charge takes a token for a request that is no operation.
func (p *Pipeline) charge(rec *op.Record) error {
	if err := p.take(rec); err != nil {
		return err
	}
	if rec.Request.Bad != nil {
		return rec.Request.Bad
	}
	rec.Decision.Allow = true
	return nil
}

// take takes a token of the caller's bucket where there is no decision.
func (p *Pipeline) take(rec *op.Record) error {
	defer rec.Mark(op.StageLimit)
	r := rec.Request
	b := &op.Bound{Op: &op.Op{Spec: op.Spec{Name: r.Op, Engine: "self", Effect: op.List}}, Caller: r.Caller, Request: r, Items: r.Items}
	return p.Take(b, &rec.Decision)
}

// record writes the intent and the outcome of a request that is no operation, and does
// it in between.
func (p *Pipeline) record(ctx context.Context, rec *op.Record, act func(context.Context) error) (err error) {
	defer rec.Mark(op.StageAudit)
	if err := p.Intent(rec); err != nil {
		return p.unrecorded(rec, err)
	}
	rec.Intent = true
	rec.Err = call.Errorf(call.Internal, "internal error") // as long as nothing else is known
	defer func() {
		if aerr := p.Outcome(rec); aerr != nil {
			rec.AuditLost = true
		}
	}()
	err = act(ctx)
	rec.Err = call.AsError(err)
	return err
}
