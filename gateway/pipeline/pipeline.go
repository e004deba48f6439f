// Package pipeline is the order of a call. Read it first: every transport builds
// the same op.Request, and Do is the only way from a request to Vault.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// Pipeline holds the parts of the order, set once when the gateway is wired and
// never changed. Every field but the hooks marked optional must be set.
type Pipeline struct {
	Ops *op.Catalogue

	// Withdrawn reports why a caller may be served no longer although it was authenticated:
	// its body took its time, or it is one part of many, or Vault has answered late. It is
	// asked before a call is decided and before its result leaves. Optional.
	Withdrawn func(*call.Caller) error
	// Rewrite is the request hook: it may replace the arguments before they are
	// bound, never after the decision. Optional.
	Rewrite func(context.Context, *op.Request) error
	// Decide is the decision point. It never fails: every failure is a denial.
	Decide func(context.Context, *op.Bound) op.Decision
	// Plan pins the transforms that the decision names, before anything is sent. Its
	// error refuses the call. Optional.
	Plan func(*op.Bound, *op.Decision) (Finish, error)
	// Take takes a token from the bucket that the decision names, for what does not run.
	Take func(*op.Bound, *op.Decision) error
	// Enter does so for a call that is allowed, and takes a place among the caller's running
	// calls until release is called: both, or its error. Optional; without it there is Take.
	Enter func(*op.Bound, *op.Decision) (release func(), err error)
	// TierOf names the bucket of a caller where there is no decision that names one.
	// Optional; without it, calls that do not bind are not charged.
	TierOf func(*call.Caller) string
	// Intent and Refusal write evidence before an effect or an answer; their
	// failure stops the call. Outcome writes what came of it.
	Intent  func(*op.Record) error
	Refusal func(*op.Record) error
	Outcome func(*op.Record) error
	// Open opens the caller's way to Vault.
	Open func(context.Context, call.Grant) (*vault.Session, error)
	// Learn sees what an operation returned to a caller, before anything is made of it,
	// so that logs can be kept free of its secrets. Optional.
	Learn func(c *call.Caller, out any)
	// Undo takes back what an operation minted when its result cannot be delivered. Optional.
	Undo func(context.Context, *vault.Session, *op.Bound, any) error
	// Publish reports a change. Optional.
	Publish func(*op.Record)
	// Log writes the one record of a call and counts it.
	Log func(context.Context, *op.Record)
}

// Finish is what the decision obliges to. The zero Finish does nothing.
type Finish struct {
	// Apply turns an operation's encoded result into what is delivered.
	Apply func(rec *op.Record, body []byte) ([]byte, error)
	// Close releases what was pinned; it is called whether Apply was or not.
	Close func()

	release func() // the caller's place among the running calls
}

func (f Finish) close() {
	if f.Close != nil {
		f.Close()
	}
	if f.release != nil {
		f.release()
	}
}

// Do does one call: bind, decide, limit, record, act, transform, record, answer.
// The result is never nil; beside an error it carries the ids alone. Errors are
// *call.Error. A panic in any part is an Internal error of this call alone, and so is a
// request without a caller, which is recorded as nobody's.
func (p *Pipeline) Do(ctx context.Context, r *op.Request) (res *op.Result, err error) {
	r, unsound := sound(r)
	res = &op.Result{RequestID: r.ID}
	rec := &op.Record{Request: r, Start: time.Now()}
	if r.Time.IsZero() {
		r.Time = rec.Start
	}
	defer func() {
		if v := recover(); v != nil {
			err = p.panicked(rec, v)
		}
		res.DecisionID, res.Tier = rec.Decision.ID, rec.Decision.Tier
		rec.Err = call.AsError(err)
		rec.Total = time.Since(rec.Start)
		p.Log(ctx, rec)
	}()
	if unsound != nil {
		return res, p.refuse(rec, unsound)
	}
	body, err := p.run(ctx, rec)
	if err != nil {
		return res, call.AsError(err)
	}
	res.Body, res.Status, res.Deliver = body, rec.Bound.Op.Status, form(rec)
	res.Cache, res.Version, res.Free = rec.Cache, rec.Outcome.Version, rec.Free
	return res, nil
}

// panicked closes a call that panicked. The value may hold data, so only its type
// is kept. When the intent was recorded, so is the outcome.
func (p *Pipeline) panicked(rec *op.Record, v any) error {
	err := call.Wrap(call.Internal, "internal error", fmt.Errorf("panic of type %T", v))
	rec.Err, rec.Panicked = err, true
	if rec.Intent {
		_ = p.Outcome(rec) // counted by the audit writer
	}
	return err
}

func (p *Pipeline) run(ctx context.Context, rec *op.Record) ([]byte, error) {
	if err := p.withdrawn(rec); err != nil {
		return nil, p.refuse(rec, err)
	}
	if err := p.bind(ctx, rec); err != nil {
		return nil, p.refuse(rec, p.unbound(rec, err))
	}
	if parts := rec.Bound.Parts(); parts != nil {
		return p.each(ctx, rec, parts)
	}
	finish, err := p.admit(ctx, rec)
	if err != nil {
		return nil, p.refuse(rec, err)
	}
	defer finish.close()
	if err := p.Intent(rec); err != nil {
		return nil, p.unrecorded(rec, err)
	}
	rec.Intent = true
	rec.Mark(op.StageAudit)
	body, err := p.act(ctx, rec, finish)
	rec.Err, rec.Bytes = call.AsError(err), len(body)
	if aerr := p.Outcome(rec); aerr != nil {
		rec.AuditLost = true
	}
	rec.Mark(op.StageOutcome)
	if rec.Acted && !rec.Bound.Op.ReadOnly() && p.Publish != nil {
		p.Publish(rec)
	}
	return body, err
}

// bind resolves the arguments: what it yields is what is decided on and run.
func (p *Pipeline) bind(ctx context.Context, rec *op.Record) (err error) {
	defer rec.Mark(op.StageBind)
	if p.Rewrite != nil && rec.Request.Bad == nil {
		if err = p.Rewrite(ctx, rec.Request); err != nil {
			return err
		}
	}
	rec.Bound, err = p.Ops.Bind(rec.Request)
	return err
}

// unbound charges for a call that nobody can decide about, because its arguments do
// not bind, and returns what it is answered with. Such calls would be free otherwise,
// and each costs its line of evidence.
func (p *Pipeline) unbound(rec *op.Record, err error) error {
	if p.TierOf == nil {
		return err
	}
	rec.Decision.Tier = p.TierOf(rec.Request.Caller)
	if limited := p.take(rec); limited != nil {
		return limited
	}
	return err
}

// admit decides and limits. A denied call takes from its bucket as well.
func (p *Pipeline) admit(ctx context.Context, rec *op.Record) (Finish, error) {
	rec.Decision = p.Decide(ctx, rec.Bound)
	rec.Mark(op.StageDecide)
	denied := rec.Decision.Err()
	release, limited := p.enter(rec, denied == nil)
	rec.Mark(op.StageLimit)
	if limited != nil {
		return Finish{}, limited
	}
	if denied != nil {
		return Finish{}, denied
	}
	return p.prepare(rec, release)
}

// enter takes a token, and a place for a call that will run.
func (p *Pipeline) enter(rec *op.Record, runs bool) (release func(), err error) {
	if runs && p.Enter != nil {
		return p.Enter(rec.Bound, &rec.Decision)
	}
	return func() {}, p.Take(rec.Bound, &rec.Decision)
}

// prepare pins the transforms of an allowed call, whose place is given back with them.
func (p *Pipeline) prepare(rec *op.Record, release func()) (f Finish, err error) {
	planned := p.Plan == nil
	defer func() {
		if !planned { // it has failed, or panicked
			release()
		}
	}()
	if p.Plan != nil {
		if f, err = p.Plan(rec.Bound, &rec.Decision); err != nil {
			return Finish{}, err
		}
		planned = true
	}
	f.release = release
	return f, nil
}

// refuse records a refusal before it is answered.
func (p *Pipeline) refuse(rec *op.Record, err error) error {
	rec.Err = call.AsError(err)
	if aerr := p.Refusal(rec); aerr != nil {
		return auditFailed(aerr)
	}
	rec.Mark(op.StageAudit)
	return err
}

// act does the operation and finishes its result.
func (p *Pipeline) act(ctx context.Context, rec *op.Record, finish Finish) ([]byte, error) {
	s, err := p.Open(ctx, rec.Decision.Grant)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	s.Within(rec.Request.Room)
	defer func() { rec.Vault = s.Traffic() }()
	out, err := runBound(ctx, rec, s, finish)
	rec.Mark(op.StageVault)
	if err != nil {
		return nil, err
	}
	rec.Acted = true
	if p.Learn != nil {
		p.Learn(rec.Request.Caller, out)
	}
	body, err := deliver(ctx, rec, s, result{out, finish})
	if err == nil {
		body, err = op.WithWarnings(body, rec.Warnings)
	}
	rec.Mark(op.StageTransform)
	if err != nil {
		err = call.Wrap(call.TransformFailed, "the result could not be transformed as the policy asks", err)
	} else if err = p.withdrawn(rec); err == nil {
		rec.Outcome = op.Facts(out)
		if r := rec.Bound.Resource; rec.Outcome.Version == 0 && form(rec) == call.Wrapped {
			rec.Outcome.Version = r.Version // Vault has wrapped the result itself, so nobody has seen it
		}
		rec.Free = lent(out, body)
		return body, nil
	}
	if p.Undo != nil {
		// The caller may be gone, but the credential exists.
		if uerr := p.Undo(context.WithoutCancel(ctx), s, rec.Bound, out); uerr != nil {
			rec.UndoFailed = true
		}
	}
	return nil, err
}

// withdrawn reports with its error that the caller is one no longer.
func (p *Pipeline) withdrawn(rec *op.Record) error {
	if p.Withdrawn == nil {
		return nil
	}
	return p.Withdrawn(rec.Request.Caller)
}

// unrecorded is what a call is answered with whose intent is not on record: its caller
// has used up its share, which is a refusal like others, or the evidence fails.
func (p *Pipeline) unrecorded(rec *op.Record, err error) error {
	if spent, ok := errors.AsType[*call.Error](err); ok {
		return p.refuse(rec, spent)
	}
	return auditFailed(err)
}

func auditFailed(err error) error {
	return call.Wrap(call.AuditUnavailable, "the call cannot be recorded, so it is refused", err)
}
