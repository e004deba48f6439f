package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/vault"
)

const canary = "canary-4711"

type in struct {
	Mode string `json:"mode,omitempty"`
}

func (*in) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

type out struct {
	Value call.Secret `json:"value"`
}

// bench is a pipeline whose parts write down that they ran.
type bench struct {
	pipeline.Pipeline
	steps []string
	last  *op.Record
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	step := func(name string) { b.steps = append(b.steps, name) }
	act := func(_ context.Context, _ *vault.Session, i in) (out, error) {
		step("act")
		switch i.Mode {
		case "fail":
			return out{}, call.Wrap(call.VaultError, "Vault error", errors.New(canary))
		case "panic":
			panic(canary)
		}
		return out{canary}, nil
	}
	cat, err := op.NewCatalogue(op.New(op.Spec{Name: "test.write", Engine: "self", Effect: op.Write}, act))
	if err != nil {
		t.Fatal(err)
	}
	client, err := vault.New(vault.Config{Addr: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	b.Pipeline = pipeline.Pipeline{
		Ops: cat,
		Decide: func(_ context.Context, bound *op.Bound) op.Decision {
			step("decide")
			return op.Decision{ID: "d1", Allow: true, Grant: call.Mint(bound.Caller, call.Terms{Op: "test.write"})}
		},
		Take:    func(*op.Bound, *op.Decision) error { step("take"); return nil },
		Intent:  func(*op.Record) error { step("intent"); return nil },
		Refusal: func(*op.Record) error { step("refusal"); return nil },
		Outcome: func(*op.Record) error { step("outcome"); return nil },
		Open:    client.Open,
		Publish: func(*op.Record) { step("publish") },
		Log:     func(_ context.Context, r *op.Record) { step("log"); b.last = r },
	}
	return b
}

func (b *bench) do(t *testing.T, args string) (*op.Result, error) {
	t.Helper()
	return b.Do(t.Context(), &op.Request{ID: "r1", Transport: op.REST, Op: "test.write", Args: []byte(args), Caller: &call.Caller{Subject: "a"}})
}

// TestOrder is the order of a call, and how each part that refuses ends it.
func TestOrder(t *testing.T) {
	fail := errors.New(canary)
	deny := func(c call.Code) func(context.Context, *op.Bound) op.Decision {
		return func(context.Context, *op.Bound) op.Decision { return op.Decision{ID: "d2", Code: c} }
	}
	for _, c := range []struct {
		name, args string
		change     func(*bench)
		code       call.Code
		steps      string
	}{
		{name: "allowed", steps: "decide take intent act outcome publish log"},
		{name: "bad arguments", args: `{"x":1}`, code: call.InvalidRequest, steps: "refusal log"},
		{name: "bad arguments, charged", args: `{"x":1}`, change: func(b *bench) {
			b.TierOf = func(*call.Caller) string { return "standard" }
		}, code: call.InvalidRequest, steps: "take refusal log"},
		{name: "bad arguments, limited", args: `{"x":1}`, change: func(b *bench) {
			b.TierOf = func(*call.Caller) string { return "standard" }
			b.Take = func(_ *op.Bound, d *op.Decision) error {
				if d.Tier != "standard" {
					return fail
				}
				return call.Errorf(call.RateLimited, "slow down")
			}
		}, code: call.RateLimited, steps: "refusal log"},
		{name: "bad arguments, not written", args: `{"x":1}`, change: func(b *bench) {
			b.Refusal = func(*op.Record) error { return fail }
		}, code: call.AuditUnavailable, steps: "log"},
		{name: "denied", change: func(b *bench) { b.Decide = deny(call.Forbidden) }, code: call.Forbidden, steps: "take refusal log"},
		{name: "limited", change: func(b *bench) {
			b.Take = func(*op.Bound, *op.Decision) error { return call.Errorf(call.RateLimited, "slow down") }
		}, code: call.RateLimited, steps: "decide refusal log"},
		{name: "intent not written", change: func(b *bench) { b.Intent = func(*op.Record) error { return fail } }, code: call.AuditUnavailable, steps: "decide take log"},
		{name: "more evidence than one caller may have written", change: func(b *bench) {
			b.Intent = func(*op.Record) error { return call.Errorf(call.RateLimited, "too many bytes of evidence") }
		}, code: call.RateLimited, steps: "decide take refusal log"},
		{name: "refusal not written", change: func(b *bench) {
			b.Decide = deny(call.Forbidden)
			b.Refusal = func(*op.Record) error { return fail }
		}, code: call.AuditUnavailable, steps: "take log"},
		{name: "grant is void", change: func(b *bench) {
			b.Decide = func(context.Context, *op.Bound) op.Decision { return op.Decision{Allow: true} }
		}, code: call.Forbidden, steps: "take intent outcome log"},
		{name: "operation fails", args: `{"mode":"fail"}`, code: call.VaultError, steps: "decide take intent act outcome log"},
		{name: "operation panics", args: `{"mode":"panic"}`, code: call.Internal, steps: "decide take intent act outcome log"},
		{name: "plan refused", change: func(b *bench) {
			b.Plan = func(*op.Bound, *op.Decision) (pipeline.Finish, error) {
				return pipeline.Finish{}, call.Errorf(call.Forbidden, "unknown transform")
			}
		}, code: call.Forbidden, steps: "decide take refusal log"},
		{name: "transform fails", change: func(b *bench) {
			b.Plan = func(*op.Bound, *op.Decision) (pipeline.Finish, error) {
				return pipeline.Finish{
					Apply: func(*op.Record, []byte) ([]byte, error) { return nil, fail },
					Close: func() { b.steps = append(b.steps, "close") },
				}, nil
			}
			b.Undo = func(context.Context, *vault.Session, *op.Bound, any) error {
				b.steps = append(b.steps, "undo")
				return nil
			}
		}, code: call.TransformFailed, steps: "decide take intent act undo outcome publish close log"},
		{name: "outcome not written", change: func(b *bench) { b.Outcome = func(*op.Record) error { return fail } }, steps: "decide take intent act publish log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.change != nil {
				c.change(b)
			}
			res, err := b.do(t, c.args)
			if got := strings.Join(b.steps, " "); got != c.steps {
				t.Errorf("steps: got %q, want %q", got, c.steps)
			}
			if c.code == "" {
				if err != nil || !strings.Contains(string(res.Body), canary) {
					t.Fatalf("got %v, %v", res, err)
				}
				return
			}
			e := call.AsError(err)
			if e == nil || e.Code != c.code || strings.Contains(e.Msg, canary) || len(res.Body) > 0 {
				t.Errorf("got %v %q, want %s without the cause", e, res.Body, c.code)
			}
		})
	}
}

// TestS15_TransformSeesTheResultAlone: a transform changes the answer, not the call.
func TestS15_TransformSeesTheResultAlone(t *testing.T) {
	b := newBench(t)
	b.Plan = func(*op.Bound, *op.Decision) (pipeline.Finish, error) {
		return pipeline.Finish{Apply: func(_ *op.Record, body []byte) ([]byte, error) {
			return []byte(strings.ReplaceAll(string(body), canary, "***")), nil
		}}, nil
	}
	res, err := b.do(t, "")
	if err != nil || string(res.Body) != `{"value":"***"}` {
		t.Errorf("got %s, %v", res.Body, err)
	}
}

func TestRecordKnowsEveryStage(t *testing.T) {
	b := newBench(t)
	if _, err := b.do(t, ""); err != nil {
		t.Fatal(err)
	}
	if b.last.Total <= 0 || !slices.ContainsFunc(b.last.Times[:], func(d time.Duration) bool { return d > 0 }) {
		t.Errorf("no times in the record: %v %v", b.last.Total, b.last.Times)
	}
}

func TestPanicKeepsNoData(t *testing.T) {
	b := newBench(t)
	_, err := b.do(t, `{"mode":"panic"}`)
	if strings.Contains(fmt.Sprintf("%v %+v", err, call.AsError(err).Err), canary) || !b.last.Panicked {
		t.Errorf("the panic's value is kept: %v", err)
	}
}

func BenchmarkDo(b *testing.B) {
	cat, err := op.NewCatalogue(op.New(op.Spec{Name: "test.read", Engine: "self", Effect: op.Read},
		func(context.Context, *vault.Session, in) (out, error) { return out{canary}, nil }))
	if err != nil {
		b.Fatal(err)
	}
	client, err := vault.New(vault.Config{Addr: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	p := pipeline.Pipeline{
		Ops: cat,
		Decide: func(_ context.Context, bound *op.Bound) op.Decision {
			return op.Decision{Allow: true, Grant: call.Mint(bound.Caller, call.Terms{})}
		},
		Take:   func(*op.Bound, *op.Decision) error { return nil },
		Intent: func(*op.Record) error { return nil }, Refusal: func(*op.Record) error { return nil }, Outcome: func(*op.Record) error { return nil },
		Open: client.Open, Log: func(context.Context, *op.Record) {},
	}
	caller := &call.Caller{Subject: "a"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Do(b.Context(), &op.Request{ID: "r", Op: "test.read", Args: []byte(`{"mode":"x"}`), Caller: caller}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHeldPlaceIsGivenBack: whatever ends a call, its place among the running ones
// is free again.
func TestHeldPlaceIsGivenBack(t *testing.T) {
	for _, args := range []string{"", `{"mode":"fail"}`, `{"mode":"panic"}`} {
		b, held := newBench(t), 0
		b.Enter = func(*op.Bound, *op.Decision) (func(), error) { held++; return func() { held-- }, nil }
		_, _ = b.do(t, args)
		if held != 0 {
			t.Errorf("%q: %d places are held after the call", args, held)
		}
	}
	b := newBench(t)
	b.Enter = func(*op.Bound, *op.Decision) (func(), error) {
		return nil, call.Errorf(call.RateLimited, "too many at once")
	}
	if _, err := b.do(t, ""); !call.Is(err, call.RateLimited) || strings.Contains(strings.Join(b.steps, " "), "act") {
		t.Errorf("got %v after %v, want a refusal before the act", err, b.steps)
	}
}

// TestPlacesAreGivenBack: whatever ends a call gives its caller's place back, once.
func TestPlacesAreGivenBack(t *testing.T) {
	for name, plan := range map[string]func(*op.Bound, *op.Decision) (pipeline.Finish, error){
		"done":    func(*op.Bound, *op.Decision) (pipeline.Finish, error) { return pipeline.Finish{}, nil },
		"refused": func(*op.Bound, *op.Decision) (pipeline.Finish, error) { return pipeline.Finish{}, errors.New(canary) },
		"panics":  func(*op.Bound, *op.Decision) (pipeline.Finish, error) { panic(canary) },
		"no plan": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			held, released := 0, 0
			b.Plan = plan
			b.Enter = func(*op.Bound, *op.Decision) (func(), error) {
				held++
				return func() { released++ }, nil
			}
			_, _ = b.do(t, "")
			if held != 1 || released != 1 {
				t.Errorf("held %d times, given back %d times", held, released)
			}
		})
	}
}
