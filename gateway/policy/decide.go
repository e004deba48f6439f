package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Decide decides a call. It never fails: whatever goes wrong is a denial with a
// code. Only an allowed decision carries a valid grant.
func (e *Engine) Decide(ctx context.Context, b *op.Bound) (d op.Decision) {
	s := e.of(b.Caller)
	work := e.scratch.Get().(*scratch)
	rec := &work.rec
	rec.facts, rec.snapshot = document.FactsOf(b), s
	defer func() {
		if v := recover(); v != nil {
			d = e.failed(s.Revision, call.PolicyError, "policy.panic", fmt.Sprintf("a %T", v))
		}
		rec.decision = d
		rec.decision.Grant = call.Grant{}
		e.log.add(rec)
		e.offer(rec, b)
		*rec = record{}
		e.scratch.Put(work)
	}()
	if r := e.refused.Load(); e.expired(r) {
		return e.failed(s.Revision, call.PolicyError, "policy.stale", "the policy has been out of date for too long")
	}
	out, cached, err := e.answer(ctx, s, b, work)
	if err != nil {
		failures.Inc()
		code, reason := failure(err)
		return e.failed(s.Revision, code, reason, err.Error())
	}
	d = e.conclude(s, b, out)
	d.Cached = cached
	rec.tried = out.DryRun
	e.tried(d, rec, cached)
	return d
}

// scratch is what a decision needs while it is made. It is used again.
type scratch struct {
	in  document.Input
	key []byte
	rec record
}

func newScratch() *sync.Pool {
	return &sync.Pool{New: func() any { return &scratch{key: make([]byte, 0, 512)} }}
}

// evaluate waits for its turn first: no more evaluations run at once than there are
// processors, so that a burst of calls does not use up everybody's time.
func (e *Engine) evaluate(ctx context.Context, s *snapshot, in *document.Input) (document.Output, error) {
	select {
	case e.turns <- struct{}{}:
	case <-ctx.Done():
		return document.Output{}, program.ErrTimeout
	}
	defer func() { <-e.turns }()
	return s.Decide(ctx, in, e.cfg.Timeout)
}

// answer takes the policy's answer from the cache, or evaluates it.
func (e *Engine) answer(ctx context.Context, s *snapshot, b *op.Bound, work *scratch) (*document.Output, bool, error) {
	in, rec := &work.in, &work.rec
	if err := rec.measure(b, s.Reads()); err != nil {
		return nil, false, err
	}
	*in = rec.facts.Outline(s.Reads())
	in.Args.Values = rec.values
	work.key = s.cache.key(work.key[:0], in)
	now := in.Context.Time.UnixS
	if out, ok := s.cache.get(work.key, now); ok {
		fromCache.Inc()
		return out, true, nil
	}
	rec.facts.Complete(in, s.Reads())
	evaluated.Inc()
	start := time.Now()
	out, err := e.evaluate(ctx, s, in)
	rec.took = time.Since(start)
	evalSeconds.Update(rec.took.Seconds())
	if err != nil {
		return nil, false, err
	}
	s.cache.put(b.Caller, work.key, now, &out)
	return &out, false, nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// measure notes of the arguments what the policy reads, and no more.
func (r *record) measure(b *op.Bound, reads document.Reads) error {
	if r.facts.Fields == nil && (reads.Any("args.fields") || reads.Any("args.items")) {
		r.facts.Measure(b)
	}
	if r.values != nil || !reads.Any("args.values") {
		return nil
	}
	raw, err := b.Values()
	if err != nil {
		return fmt.Errorf("encode the arguments: %w", err)
	}
	if err := json.Unmarshal(raw, &r.values); err != nil {
		return fmt.Errorf("encode the arguments: %w", err)
	}
	return nil
}

// tried counts the rules in dry run that had something to say, and logs what was
// evaluated: what came from the cache has been logged.
func (e *Engine) tried(d op.Decision, rec *record, cached bool) {
	for _, rule := range rec.tried {
		dryRun(rule).Inc()
		if !cached && e.cfg.Budgets.Spend(budget.Of(rec.facts.Caller), budget.Logs, dryRunBytes) == nil {
			e.cfg.Logger.Info("a rule in dry run would have spoken", "rule", rule, "op", rec.facts.Op.Name, "decision_id", d.ID, "allowed", d.Allow)
		}
	}
}

// dryRunBytes is about how long such a line is.
const dryRunBytes = 256

// failure names what an evaluation failed of.
func failure(err error) (call.Code, string) {
	if errors.Is(err, program.ErrTimeout) {
		return call.PolicyTimeout, program.Failure(err)
	}
	return call.PolicyError, program.Failure(err)
}

// failed is the denial of a policy that did not answer. The text is for the log.
func (e *Engine) failed(revision string, code call.Code, reason, msg string) op.Decision {
	return op.Decision{
		ID: newID(), Revision: revision, Code: code, Tier: StandardTier,
		Reasons: []op.Reason{{Code: reason, Msg: msg, Audience: "admin", Rule: "gateway"}},
	}
}

// conclude turns an answer into a decision, and an allowance into a grant if it
// stands every check.
func (e *Engine) conclude(s *snapshot, b *op.Bound, out *document.Output) op.Decision {
	d := op.Decision{
		ID: newID(), Revision: s.Revision, Allow: out.Allow, RequiredScopes: out.RequiredScopes,
		PathPrefix: out.PathPrefix, Tier: out.Tier, Reasons: reasons(out.Reasons),
	}
	tier, known := e.tier(s, out.Tier)
	d.Cost = tier.CostOf(b.Op.Name, b.Items)
	if !out.Allow {
		return denied(d, b.Caller, known)
	}
	if err := e.check(b, out, known); err != nil {
		failures.Inc()
		return e.failed(s.Revision, call.PolicyError, "policy.bad_decision", err.Error())
	}
	d.Obligations = e.obligations(b, out.Obligations)
	d.Grant = call.Mint(b.Caller, call.Terms{
		DecisionID: d.ID, Op: b.Op.Name, Resource: b.Resource,
		Deliver: d.Obligations.Deliver, Masked: d.Obligations.Masked, Fields: call.OnlyFields(d.Obligations.Fields), WrapTTL: d.Obligations.WrapTTL, MaxTTL: d.Obligations.MaxTTL,
	})
	return d
}

// needsBehalf ends the codes of reasons by which a rule asks for a second credential.
const needsBehalf = "on_behalf_of_required"

// denied codes a denial: who lacks nothing but a scope may come back with one, and who
// does not say on whose behalf it calls may say so.
func denied(d op.Decision, c *call.Caller, tierKnown bool) op.Decision {
	d.Code = call.Forbidden
	if c.Behalf == nil && slices.ContainsFunc(d.Reasons, func(r op.Reason) bool { return strings.HasSuffix(r.Code, needsBehalf) }) {
		d.Code = call.OnBehalfOfRequired
	}
	other := func(r op.Reason) bool { return r.Rule != "gateway.scope" }
	if len(d.Reasons) > 0 && !slices.ContainsFunc(d.Reasons, other) {
		d.Code = call.InsufficientScope
	}
	if !tierKnown {
		d.Tier, d.Cost = StandardTier, 1
	}
	return d
}

func reasons(in []document.Reason) []op.Reason {
	var out []op.Reason
	for _, r := range in {
		out = append(out, op.Reason(r))
	}
	return out
}
