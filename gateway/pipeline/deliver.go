package pipeline

import (
	"context"
	"errors"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// form is how the result of a call leaves. What never came from Vault has nothing
// to hide and leaves plain.
func form(rec *op.Record) call.Deliver {
	t := rec.Decision.Grant.Terms()
	if t.Resource.Mount == "" {
		return call.Plain
	}
	return t.Deliver
}

// whole reports whether everything that an operation returns may be shown.
func whole(t call.Terms) bool { return !t.Masked && t.Deliver != call.Masked && t.Fields.All() }

// runBound runs the operation. Where the result shall be wrapped and nobody needs
// to see it on its way, Vault wraps it itself. What is masked, or shown in part, never
// leaves Vault whole.
func runBound(ctx context.Context, rec *op.Record, s *vault.Session, finish Finish) (any, error) {
	if form(rec) == call.Wrapped && rec.Bound.Op.ReadOnly() && finish.Apply == nil && whole(rec.Decision.Grant.Terms()) {
		s.WrapAnswer()
	}
	out, err := rec.Bound.Run(ctx, s)
	rec.Cache, rec.Warnings = s.Cached(), s.Warnings()
	if w, ok := errors.AsType[*vault.Wrapped](err); ok {
		return w, nil
	}
	return out, err
}

// result is what an operation returned and what is still owed.
type result struct {
	out    any
	finish Finish
}

// encode writes what may be shown of a result.
func encode(t call.Terms, out any) ([]byte, error) {
	if t.Resource.Mount == "" || whole(t) {
		return op.Encode(out)
	}
	f, named := out.(op.Fielded)
	masked := t.Masked || t.Deliver == call.Masked || !named // nothing says which of its fields are meant
	if !t.Fields.All() && named {
		shown, err := f.Only(t.Fields.Names())
		if err != nil {
			return nil, err
		}
		out = shown
	}
	if masked {
		return op.EncodeMasked(out)
	}
	return op.Encode(out)
}

// lent is what gives the memory of a result's encoded form back, nil for nothing: what the
// operation returned is used no more when that is not.
func lent(out any, body []byte) func() {
	if l, ok := out.(op.Lender); ok {
		return l.Lent(body)
	}
	return nil
}

// deliver encodes a result in the form that the decision asks for.
func deliver(ctx context.Context, rec *op.Record, s *vault.Session, r result) ([]byte, error) {
	if _, ok := r.out.(*vault.Wrapped); ok {
		return op.Encode(r.out)
	}
	body, err := encode(rec.Decision.Grant.Terms(), r.out)
	if err == nil && r.finish.Apply != nil {
		body, err = r.finish.Apply(rec, body)
	}
	if err != nil || form(rec) != call.Wrapped {
		return body, err
	}
	w, err := s.Wrap(ctx, body)
	if err != nil {
		return nil, err
	}
	return op.Encode(w)
}
