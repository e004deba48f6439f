package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// TestWhoIsRevokedMeanwhileGetsNothing: a credential that is withdrawn after it was
// authenticated ends what is under way, whether that waits for its turn or for Vault, and
// what was minted is taken back.
func TestWhoIsRevokedMeanwhileGetsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		after int // questions that are answered with yes
		steps string
	}{
		"before it is decided": {0, "refusal log"},
		"while it runs":        {1, "decide take intent act undo outcome publish log"},
		"not at all":           {2, "decide take intent act outcome publish log"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.Withdrawn = after(c.after)
			b.Undo = func(context.Context, *vault.Session, *op.Bound, any) error {
				b.steps = append(b.steps, "undo")
				return nil
			}
			res, err := b.do(t, "")
			if got := strings.Join(b.steps, " "); got != c.steps {
				t.Errorf("steps: got %q, want %q", got, c.steps)
			}
			if given := strings.Contains(string(res.Body), canary); given != (c.after == 2) || call.Is(err, call.Unauthenticated) == given {
				t.Errorf("got %s, %v", res.Body, err)
			}
		})
	}
}

// after withdraws a caller after so many questions.
func after(n int) func(*call.Caller) error {
	return func(*call.Caller) error {
		if n--; n < 0 {
			return call.Wrap(call.Unauthenticated, "withdrawn", errors.New(canary))
		}
		return nil
	}
}

// TestWhoIsRevokedBetweenPartsGetsNoneOfThem: a call that stands for many.
func TestWhoIsRevokedBetweenPartsGetsNoneOfThem(t *testing.T) {
	b := newBench(t)
	parts := func(in) (op.Many[[]op.Part], error) {
		return op.Many[[]op.Part]{Args: []any{in{}, in{}, in{}}, Gather: func(p []op.Part) []op.Part { return p }}, nil
	}
	one := op.New(op.Spec{Name: "test.read", Engine: "self", Effect: op.Read}, func(context.Context, *vault.Session, in) (out, error) {
		b.steps = append(b.steps, "act")
		return out{canary}, nil
	})
	cat, err := op.NewCatalogue(one, op.NewMany(op.Spec{Name: "test.many", Engine: "self", Effect: op.Read}, "test.read", parts))
	if err != nil {
		t.Fatal(err)
	}
	b.Ops, b.Withdrawn = cat, after(3) // the call, the first part, and its answer
	res, err := b.Do(t.Context(), &op.Request{ID: "r1", Op: "test.many", Caller: &call.Caller{Subject: "a"}})
	if got := strings.Count(strings.Join(b.steps, " "), "act"); got != 1 {
		t.Errorf("%d parts were done, want the first one", got)
	}
	if !call.Is(err, call.Unauthenticated) || len(res.Body) > 0 {
		t.Errorf("got %s, %v", res.Body, err)
	}
}

// TestWhoIsRevokedBeginsNothing that the gateway would keep.
func TestWhoIsRevokedBeginsNothing(t *testing.T) {
	b := newBench(t)
	b.Withdrawn = after(0)
	err := b.Change(t.Context(), &op.Request{Op: "mcp.x", Caller: &call.Caller{Subject: "a"}}, func(context.Context) error {
		b.steps = append(b.steps, "act")
		return nil
	})
	if got := strings.Join(b.steps, " "); got != "refusal log" || !call.Is(err, call.Unauthenticated) {
		t.Errorf("steps %q, %v", got, err)
	}
}
