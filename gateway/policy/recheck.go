package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

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
	if !path.Below(prefix) {
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
