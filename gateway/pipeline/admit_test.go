package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// TestAdmit is the order of a request that is no operation.
func TestAdmit(t *testing.T) {
	bad := call.Errorf(call.InvalidRequest, "no call")
	fail := errors.New(canary)
	for _, c := range []struct {
		name   string
		phase  op.Phase
		bad    error
		change func(*bench)
		code   call.Code
		steps  string
	}{
		{name: "a list", phase: op.PhaseList, steps: "take log"},
		{name: "what is kept, and not by way of Change", code: call.Internal, steps: "take refusal log"},
		{name: "what cannot be read", bad: bad, code: call.InvalidRequest, steps: "take refusal log"},
		{name: "limited", phase: op.PhaseList, bad: bad, change: func(b *bench) {
			b.Take = func(*op.Bound, *op.Decision) error { return call.Errorf(call.RateLimited, "slow down") }
		}, code: call.RateLimited, steps: "refusal log"},
		{name: "refusal not written", bad: bad, change: func(b *bench) { b.Refusal = func(*op.Record) error { return fail } }, code: call.AuditUnavailable, steps: "take log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.change != nil {
				c.change(b)
			}
			err := b.Admit(t.Context(), &op.Request{ID: "r1", Op: "mcp.x", Phase: c.phase, Bad: c.bad, Caller: &call.Caller{Subject: "a"}})
			if got := strings.Join(b.steps, " "); got != c.steps {
				t.Errorf("steps: got %q, want %q", got, c.steps)
			}
			if e := call.AsError(err); (e == nil) != (c.code == "") || e != nil && e.Code != c.code {
				t.Errorf("got %v, want %q", err, c.code)
			}
		})
	}
}

// TestTheOutcomeOfAChangeIsWhatCameOfIt: what the gateway keeps for a caller is begun
// between its intent and its outcome, and the outcome says whether it was.
func TestTheOutcomeOfAChangeIsWhatCameOfIt(t *testing.T) {
	full := call.Errorf(call.Overloaded, "no place")
	for _, c := range []struct {
		name   string
		phase  op.Phase
		act    error
		change func(*bench)
		code   call.Code // that the outcome and the answer have
		steps  string
	}{
		{name: "done", steps: "take intent act outcome log"},
		{name: "not done", act: full, code: call.Overloaded, steps: "take intent act outcome log"},
		{name: "a list", phase: op.PhaseList, steps: "take log"},
		{name: "intent not written", change: func(b *bench) {
			b.Intent = func(*op.Record) error { return errors.New(canary) }
		}, code: call.AuditUnavailable, steps: "take log"},
		{name: "more evidence than one caller may have written", change: func(b *bench) {
			b.Intent = func(*op.Record) error { return call.Errorf(call.RateLimited, "too many bytes of evidence") }
		}, code: call.RateLimited, steps: "take refusal log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.change != nil {
				c.change(b)
			}
			err := b.Change(t.Context(), &op.Request{Op: "mcp.x", Phase: c.phase, Caller: &call.Caller{Subject: "a"}}, func(context.Context) error {
				b.steps = append(b.steps, "act")
				return c.act
			})
			if got := strings.Join(b.steps, " "); got != c.steps {
				t.Errorf("steps: got %q, want %q", got, c.steps)
			}
			for _, got := range []*call.Error{call.AsError(err), b.last.Err} {
				if (got == nil) != (c.code == "") || got != nil && got.Code != c.code {
					t.Errorf("got %v, want %q", got, c.code)
				}
			}
		})
	}
}

// TestAdmitChargesTheTierOfTheCaller: where no decision names a bucket.
func TestAdmitChargesTheTierOfTheCaller(t *testing.T) {
	b, tier := newBench(t), ""
	b.TierOf = func(c *call.Caller) string { return c.Tier }
	b.Take = func(_ *op.Bound, d *op.Decision) error { tier = d.Tier; return nil }
	if err := b.Admit(t.Context(), &op.Request{Op: "mcp.x", Phase: op.PhaseList, Caller: &call.Caller{Subject: "a", Tier: "gold"}}); err != nil || tier != "gold" {
		t.Errorf("got %q, %v", tier, err)
	}
}

// TestARequestOfNobodyIsRefused: a transport that names no caller reaches nothing, and is
// on record.
func TestARequestOfNobodyIsRefused(t *testing.T) {
	for name, r := range map[string]*op.Request{
		"no request":   nil,
		"zero request": {},
		"no caller":    {ID: "r1", Transport: op.REST, Op: "test.write"},
		"zero caller":  {ID: "r1", Transport: op.REST, Op: "test.write", Caller: &call.Caller{}},
		"only a scope": {ID: "r1", Transport: op.MCP, Op: "test.write", Caller: &call.Caller{Tenant: "t", Scopes: []string{"read"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.TierOf = func(c *call.Caller) string { return c.Tier }
			res, err := b.Do(t.Context(), r)
			if e := call.AsError(err); e == nil || e.Code != call.Internal || res == nil || res.Body != nil {
				t.Errorf("Do: got %v, %v, want an internal error", res, err)
			}
			if err := b.Admit(t.Context(), r); !call.Is(err, call.Internal) {
				t.Errorf("Admit: got %v, want an internal error", err)
			}
			if got := strings.Join(b.steps, " "); got != "refusal log refusal log" {
				t.Errorf("steps: got %q", got)
			}
			if c := b.last.Request.Caller; c == nil || c.Subject != "" || c.Tenant != "" {
				t.Errorf("it is recorded as the call of %v", c)
			}
		})
	}
}
