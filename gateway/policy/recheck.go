package policy

import (
	"errors"
	"fmt"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// check holds an allowance against what the gateway knows itself of the call.
func (e *Engine) check(b *op.Bound, out *document.Output, tierKnown bool) error {
	switch {
	case !tierKnown:
		return fmt.Errorf("unknown tier %q", out.Tier)
	case !b.Op.Public && len(out.RequiredScopes) == 0:
		return errors.New("no scope is required")
	}
	for _, s := range out.RequiredScopes {
		if !b.Caller.HasScope(s) {
			return fmt.Errorf("the caller lacks the scope %q", s)
		}
	}
	if err := checkPrefix(b, b.Op.Plain(b.Resource.Mount, out.PathPrefix)); err != nil {
		return err
	}
	return checkBehalf(b, out.Behalf)
}

// checkBehalf holds an allowance against whom a second credential names, nil for nobody.
func checkBehalf(b *op.Bound, out *document.Output) error {
	who := b.Caller.Behalf
	switch {
	case who == nil && out == nil:
		return nil
	case who == nil || out == nil:
		return errors.New("the policy was not asked about whom the second credential names")
	}
	for _, s := range out.RequiredScopes {
		if !who.HasScope(s) {
			return fmt.Errorf("on whose behalf the call is made lacks the scope %q", s)
		}
	}
	return checkPrefix(b, b.Op.Plain(b.Resource.Mount, out.PathPrefix))
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
	if program.IsPattern(prefix) {
		return fmt.Errorf("%q is the name of a grant with a template, which no call can have", prefix)
	}
	if !path.Below(prefix) {
		return fmt.Errorf("the resource is not below %q", prefix)
	}
	return nil
}

// obligations are the policy's, capped, with what the request asks for on top. Masking
// and wrapping are two things: whichever of the policy and the request asks for one
// gets it, and what is wrapped is what would have been shown.
func (e *Engine) obligations(b *op.Bound, in document.Obligations) op.Obligations {
	asked := b.Request.Deliver
	o := op.Obligations{
		Masked:  in.Masked || in.Deliver == string(call.Masked) || asked == call.Masked,
		Fields:  in.Fields,
		MaxTTL:  seconds(in.MaxTTLS),
		WrapTTL: seconds(in.WrapTTLS),
	}
	if !b.Op.OneTime {
		o.MaxTTL = least(o.MaxTTL, e.cfg.MaxTTL)
	}
	for _, t := range in.Transforms {
		o.Transforms = append(o.Transforms, op.Transform(t))
	}
	switch {
	case in.Deliver == string(call.Wrapped) || asked == call.Wrapped:
		o.Deliver = call.Wrapped
	case o.Masked:
		o.Deliver = call.Masked
	default:
		o.Deliver = call.Plain
	}
	if o.Deliver == call.Wrapped {
		o.WrapTTL = least(least(b.Request.WrapTTL, o.WrapTTL), e.cfg.MaxWrapTTL)
	}
	return o
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// least is the smaller of two bounds, of which 0 is none.
func least(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
