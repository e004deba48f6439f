package op

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// Many is a call that stands for several calls of another operation. It reaches nothing
// itself: each part goes through the pipeline, is decided, limited, done and recorded
// as a call of its own, with its own grant.
type Many[Out any] struct {
	Args   []any // the arguments of each part
	Gather func([]Part) Out
}

// Part is what came of one of the calls.
type Part struct {
	DecisionID string
	Body       []byte      // what the call answers, after the transforms of its decision
	Err        *call.Error // nil when it was done
}

// NewMany declares an operation that stands for several calls of the operation of.
func NewMany[In, Out any](s Spec, of string, split func(In) (Many[Out], error)) *Op {
	in, out := schemaFor[In](sent()), schemaFor[Out](shown())
	if err := s.constrain(in); err != nil {
		panic(fmt.Sprintf("operation %s: %v", s.Name, err))
	}
	s.choose(in)
	o := &Op{Spec: s, In: in, Out: out, Of: of}
	o.decode = func(raw []byte, at At) (Bound, error) {
		v := new(In)
		if err := unmarshal(raw, v); err != nil {
			return Bound{}, err
		}
		m, err := split(*v)
		if err != nil {
			return Bound{}, err
		}
		b := Bound{Op: o, Resource: call.Resource{Mount: at.Mount}, input: v, run: onlyParts}
		for _, args := range m.Args {
			raw, err := json.Marshal(args)
			if err != nil {
				return Bound{}, err
			}
			b.parts = append(b.parts, raw)
		}
		b.gather = func(parts []Part) any { return m.Gather(parts) }
		return b, nil
	}
	return o
}

func onlyParts(context.Context, *vault.Session) (any, error) {
	return nil, call.Errorf(call.Internal, "internal error")
}

// Parts are the requests that the call stands for, nil when it is a call of its own.
func (b *Bound) Parts() []*Request {
	if b.parts == nil {
		return nil
	}
	out := make([]*Request, len(b.parts))
	for i, args := range b.parts {
		r := *b.Request
		r.ID, r.Op, r.Args = fmt.Sprintf("%s.%d", r.ID, i+1), b.Op.Of, args
		if b.chosen {
			r.Mount = b.Resource.Mount
		}
		out[i] = &r
	}
	return out
}

// Gather makes the result of what came of the parts.
func (b *Bound) Gather(parts []Part) any { return b.gather(parts) }
