package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Decide decides a call. It never fails: whatever goes wrong is a denial with a
// code. Only an allowed decision carries a valid grant.
func (e *Engine) Decide(ctx context.Context, b *op.Bound) (d op.Decision) {
	s := e.active.Load()
	defer func() {
		if v := recover(); v != nil {
			d = failed(newID(), s.Revision, call.PolicyError, "policy.panic", fmt.Sprintf("a %T", v))
		}
	}()
	in := document.Of(b)
	out, err := s.Decide(ctx, &in, e.cfg.Timeout)
	if err != nil {
		code, reason := failure(err)
		return failed(newID(), s.Revision, code, reason, err.Error())
	}
	return e.conclude(s, b, out)
}

// newID is unique and sorts by time (RFC 9562 section 5.7).
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// failure names what an evaluation failed of.
func failure(err error) (call.Code, string) {
	switch {
	case errors.Is(err, program.ErrTimeout):
		return call.PolicyTimeout, "policy.timeout"
	case errors.Is(err, program.ErrNoDecision):
		return call.PolicyError, "policy.no_decision"
	}
	return call.PolicyError, "policy.error"
}

// failed is the denial of a policy that did not answer. The text is for the log.
func failed(id, revision string, code call.Code, reason, msg string) op.Decision {
	return op.Decision{
		ID: id, Revision: revision, Code: code, Tier: StandardTier,
		Reasons: []op.Reason{{Code: reason, Msg: msg, Audience: "admin", Rule: "gateway"}},
	}
}

// conclude turns an answer into a decision, and an allowance into a grant if it
// stands every check.
func (e *Engine) conclude(s *snapshot, b *op.Bound, out document.Output) op.Decision {
	d := op.Decision{
		ID: newID(), Revision: s.Revision, Allow: out.Allow, RequiredScopes: out.RequiredScopes,
		PathPrefix: out.PathPrefix, Tier: out.Tier, Reasons: reasons(out.Reasons),
	}
	tier, known := e.tier(s, out.Tier)
	d.Cost = tier.Cost(b.Op.Name)
	if !out.Allow {
		return denied(d, known)
	}
	if err := e.check(b, &out, known); err != nil {
		return failed(d.ID, s.Revision, call.PolicyError, "policy.bad_decision", err.Error())
	}
	d.Obligations = e.obligations(b, out.Obligations)
	d.Grant = call.Mint(b.Caller, call.Terms{
		DecisionID: d.ID, Op: b.Op.Name, Resource: b.Resource,
		Deliver: d.Obligations.Deliver, WrapTTL: d.Obligations.WrapTTL, MaxTTL: d.Obligations.MaxTTL,
	})
	return d
}

// denied codes a denial: who lacks nothing but a scope may come back with one.
func denied(d op.Decision, tierKnown bool) op.Decision {
	d.Code = call.Forbidden
	onlyScope := func(r op.Reason) bool { return r.Code == "scope.missing" && r.Rule == "gateway.scope" }
	if len(d.Reasons) > 0 && !slices.ContainsFunc(d.Reasons, func(r op.Reason) bool { return !onlyScope(r) }) {
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

// check holds an allowance against what the gateway knows itself.
func (e *Engine) check(b *op.Bound, out *document.Output, tierKnown bool) error {
	switch {
	case !tierKnown:
		return fmt.Errorf("unknown tier %q", out.Tier)
	case len(out.Reasons) > 0:
		return errors.New("allowed, and yet with reasons against it")
	case !b.Op.Public && len(out.RequiredScopes) == 0:
		return errors.New("no scope is required")
	case out.Obligations.Approval != nil:
		return errors.New("an approval is asked for, and approvals do not exist yet")
	case rank(call.Deliver(out.Obligations.Deliver)) < 0:
		return fmt.Errorf("unknown delivery %q", out.Obligations.Deliver)
	}
	for _, s := range out.RequiredScopes {
		if !b.Caller.HasScope(s) {
			return fmt.Errorf("the caller lacks the scope %q", s)
		}
	}
	for _, t := range out.Obligations.Transforms {
		if e.cfg.Transforms != nil && !e.cfg.Transforms(t.Name) {
			return fmt.Errorf("unknown transform %q", t.Name)
		}
	}
	return checkPrefix(b, out.PathPrefix)
}

// checkPrefix holds the resource against the prefix on a segment boundary. Secrets
// always lie below one; whatever else has a name must have been granted by it.
func checkPrefix(b *op.Bound, prefix string) error {
	path := b.Resource.Path
	if prefix == "" {
		if b.Op.Engine == "kv" || !path.IsZero() && b.Op.Engine != "self" {
			return errors.New("no path_prefix")
		}
		return nil
	}
	root, err := call.ParsePath(prefix)
	if err != nil || !path.Within(root) {
		return fmt.Errorf("the resource is not below %q", prefix)
	}
	return nil
}

// obligations are the policy's, capped, and with the delivery that the request
// asks for if that is tighter.
func (e *Engine) obligations(b *op.Bound, in document.Obligations) op.Obligations {
	o := op.Obligations{
		Deliver: call.Deliver(in.Deliver),
		MaxTTL:  seconds(in.MaxTTLS),
		WrapTTL: seconds(in.WrapTTLS),
	}
	if !b.Op.OneTime {
		o.MaxTTL = least(o.MaxTTL, e.cfg.MaxTTL)
	}
	for _, t := range in.Transforms {
		o.Transforms = append(o.Transforms, op.Transform(t))
	}
	if asked := b.Request.Deliver; rank(asked) > rank(o.Deliver) {
		o.Deliver = asked
	}
	if o.Deliver == call.Wrapped {
		o.WrapTTL = least(least(b.Request.WrapTTL, o.WrapTTL), e.cfg.MaxWrapTTL)
	}
	return o
}

// rank orders the forms of delivery, -1 for what is none.
func rank(d call.Deliver) int {
	return slices.Index([]call.Deliver{call.Plain, call.Masked, call.Wrapped}, d)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// least is the smaller of two bounds, of which 0 is none.
func least(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
