package policy

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
)

// waiting is how many decisions wait for the shadow before they are dropped.
const waiting = 256

// shadow answers every call with a candidate policy, after it was decided, and
// notes where that differs. Nothing it says is ever enforced. A nil shadow does
// nothing.
type shadow struct {
	candidate atomic.Pointer[snapshot]
	refused   atomic.Pointer[refusal] // why the newest candidate is not evaluated, nil when it is
	tried     string                  // digest of what was tried last; guarded by Engine.reload
	queue     chan *record
	log       *journal
}

// ShadowDiff is a line of the decision log: what the candidate would have said.
type ShadowDiff struct {
	V        int       `json:"v"`
	Shadow   string    `json:"shadow"` // the candidate's revision
	ID       string    `json:"id"`     // of the decision
	Time     time.Time `json:"time"`
	Revision string    `json:"revision"`
	Op       string    `json:"op"`
	Caller   string    `json:"caller"`
	Diff     string    `json:"diff"` // would_deny, would_allow or other
	Reasons  []string  `json:"reasons,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// newShadow checks the candidate as if it were to become active.
func (e *Engine) newShadow(ctx context.Context) (*shadow, error) {
	if e.cfg.Shadow == "" {
		return nil, nil
	}
	team, err := e.readShadow()
	if err != nil {
		return nil, err
	}
	s, err := e.build(ctx, team)
	if err != nil {
		return nil, err
	}
	c := &shadow{tried: bundle.Digest(e.core, team), queue: make(chan *record, waiting), log: e.log}
	c.candidate.Store(s)
	return c, nil
}

// readShadow reads the candidate, of any age as long as nothing it says is enforced. One
// that is to decide for a share of the callers is held to what the active policy is.
func (e *Engine) readShadow() (*bundle.Bundle, error) {
	team, err := bundle.Read(e.cfg.Shadow, e.cfg.Keys)
	if err != nil || e.canary == nil {
		return team, err
	}
	signed := bundle.Signed(e.cfg.Shadow)
	if signed {
		err = e.older(team, e.cfg.Shadow)
	}
	if err == nil {
		_, err = e.removed(team, e.cfg.Shadow, signed)
	}
	return team, err
}

// ReloadShadow evaluates what POLICY_SHADOW_DIR holds now, if it is another candidate
// than before and stands every check. A candidate that is refused changes nothing:
// the one before stays, and Status says why.
func (e *Engine) ReloadShadow(ctx context.Context) error {
	if e.shadow == nil {
		return nil
	}
	e.reload.Lock()
	defer e.reload.Unlock()
	team, err := e.readShadow()
	if err != nil {
		return e.refuseShadow("", err)
	}
	digest := bundle.Digest(e.core, team)
	if digest == e.shadow.tried {
		if r := e.shadow.refused.Load(); r != nil {
			return r.err
		}
		return nil
	}
	s, err := e.build(ctx, team)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errChecks):
		return e.refuseShadow("", err)
	default:
		return e.refuseShadow(digest, err)
	}
	e.shadow.candidate.Store(s)
	e.shadow.refused.Store(nil)
	e.shadow.tried = digest
	e.canary.begin()
	shadowReloads.Inc()
	e.cfg.Logger.Info("the shadow policy is evaluated beside the active one", "revision", s.Revision)
	return nil
}

// refuseShadow notes why the newest candidate is not evaluated.
func (e *Engine) refuseShadow(digest string, err error) error {
	r := &refusal{err: err, since: e.cfg.Now()}
	if before := e.shadow.refused.Load(); before == nil || before.err.Error() != err.Error() {
		shadowsRefused.Inc()
		e.cfg.Logger.Error("the newest shadow policy is refused; the one before it stays", "cause", err)
	}
	e.shadow.refused.Store(r)
	e.shadow.tried = digest
	return err
}

// status is what health says of the candidate.
func (s *shadow) status() ShadowStatus {
	if s == nil {
		return ShadowStatus{}
	}
	c := s.candidate.Load()
	st := ShadowStatus{Configured: true, Revision: c.Revision, LoadedAt: c.loaded}
	if r := s.refused.Load(); r != nil {
		st.LastError = r.err.Error()
	}
	return st
}

// offer hands a decision over. It never waits. The record is completed by what the
// policy that did not decide reads and the one that did does not.
func (e *Engine) offer(r *record, b *op.Bound) {
	s := e.shadow
	if s == nil {
		return
	}
	other := s.candidate.Load()
	if r.snapshot == other {
		canaryDecisions(r.decision.Allow).Inc()
		other = e.active.Load()
	}
	kept := r.clone()
	if err := kept.measure(b, other.Reads()); err != nil {
		shadowDrops.Inc() // no comparison is better than one of other calls
		return
	}
	select {
	case s.queue <- kept:
	default:
		shadowDrops.Inc()
	}
}

// RunShadow answers with the candidate until the context ends.
func (e *Engine) RunShadow(ctx context.Context) {
	if e.shadow == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-e.shadow.queue:
			e.compare(ctx, r)
		}
	}
}

// compare asks the policy that did not decide.
func (e *Engine) compare(ctx context.Context, r *record) {
	defer func() {
		if recover() != nil {
			shadowDrops.Inc() // a candidate harms nobody
		}
	}()
	if e.canary != nil && r.snapshot == e.shadow.candidate.Load() {
		e.weigh(ctx, r)
		return
	}
	e.shadow.one(ctx, r)
}

func (s *shadow) one(ctx context.Context, r *record) {
	in, candidate := r.input(), s.candidate.Load()
	out, err := candidate.Decide(ctx, &in, time.Second)
	diff := difference(r.decision, out, err)
	if diff == "same" && r.decision.Allow && !sameTerms(ctx, r, out) {
		diff = "other"
	}
	shadowed(diff).Inc()
	if diff == "same" {
		return
	}
	line := ShadowDiff{
		V: 1, Shadow: candidate.Revision, ID: r.decision.ID, Time: r.facts.Time, Revision: r.decision.Revision,
		Op: r.facts.Op.Name, Caller: r.facts.Caller.Key(), Diff: diff,
	}
	for _, x := range out.Reasons {
		line.Reasons = append(line.Reasons, x.Code)
	}
	if err != nil {
		line.Error = err.Error()
	}
	s.log.send(line)
}

// difference names how a candidate's answer differs from a decision.
func difference(d op.Decision, out document.Output, err error) string {
	allow := err == nil && out.Allow
	switch {
	case d.Allow && !allow:
		return "would_deny"
	case !d.Allow && allow:
		return "would_allow"
	}
	return "same"
}

// sameTerms compares what the two policies ask for: the decision itself has been
// shaped by the request and by the gateway's caps as well.
func sameTerms(ctx context.Context, r *record, out document.Output) bool {
	in := r.input()
	active, err := r.snapshot.Decide(ctx, &in, time.Second)
	return err == nil && active.Tier == out.Tier && active.PathPrefix == out.PathPrefix &&
		reflect.DeepEqual(active.Obligations, out.Obligations)
}
