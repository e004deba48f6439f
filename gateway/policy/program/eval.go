package program

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"portcullis/gateway/policy/document"
)

// ErrNoDecision is an evaluation without a result.
var ErrNoDecision = errors.New("the policy gave no decision")

// ErrContradiction is an allowance that contradicts itself, see document.Output.
var ErrContradiction = errors.New("the decision contradicts itself")

// ErrTimeout is an evaluation that took too long or whose caller left.
var ErrTimeout = errors.New("the policy took too long")

// Decide evaluates the decision for an input within a time. Where a second credential
// says on whose behalf the call is made, both are asked about, and both must be allowed.
func (p *Program) Decide(ctx context.Context, in *document.Input, limit time.Duration) (document.Output, error) {
	out, err := p.decide(ctx, in, limit)
	if other := in.Beside(); err == nil && other != nil && out.Allow {
		behalf, err := p.decide(ctx, other, limit)
		if err != nil {
			return document.Output{}, err
		}
		out = out.Meet(behalf)
	}
	if err != nil {
		return out, err
	}
	if why := out.Contradiction(); why != nil {
		return document.Output{}, fmt.Errorf("%w: %w", ErrContradiction, why)
	}
	return out, nil
}

// Failure is the code of the reason of a denial that comes of an error of Decide.
func Failure(err error) string {
	switch {
	case errors.Is(err, ErrTimeout):
		return "policy.timeout"
	case errors.Is(err, ErrNoDecision):
		return "policy.no_decision"
	case errors.Is(err, ErrContradiction):
		return "policy.bad_decision"
	}
	return "policy.error"
}

// Denied is the answer that an error of Decide comes to, as the gateway records it.
func Denied(err error) document.Output {
	return document.Output{
		V: document.OutputVersion, Obligations: document.Obligations{Deliver: "plain"},
		Reasons: []document.Reason{{Code: Failure(err), Msg: err.Error(), Audience: "admin", Rule: "gateway"}},
	}
}

func (p *Program) decide(ctx context.Context, in *document.Input, limit time.Duration) (document.Output, error) {
	asked, ok := p.asked.Get().(*document.Input)
	if !ok {
		asked = new(document.Input)
	}
	defer p.asked.Put(asked)
	*asked = p.completed(in)
	v, err := p.question.ask(newBudget(ctx, limit), p.writer.Value(asked), Variant{})
	if err != nil {
		return document.Output{}, err
	}
	return document.Decode(v)
}

// question is the query for a document, as the decision. It is asked of the evaluator
// itself, without the layer above it that prepares every query for every purpose.
type question struct {
	body     ast.Body
	query    ast.QueryCompiler
	compiler *ast.Compiler
	store    storage.Store
	read     storage.Transaction // nothing is ever written, so all share it
	results  sync.Pool           // of *results
}

// answer is the variable that takes the decision.
const answer = ast.Var("answer")

func newQuestion(ctx context.Context, document string, c *ast.Compiler, s storage.Store) (*question, error) {
	read, err := s.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	q := &question{compiler: c, store: s, read: read}
	return q.about(document)
}

// about is the question for another document of the same program.
func (q *question) about(document string) (*question, error) {
	other := &question{query: q.compiler.QueryCompiler(), compiler: q.compiler, store: q.store, read: q.read}
	other.results.New = func() any { return &results{} }
	body, err := ast.ParseBody(document + " = " + string(answer))
	if err != nil {
		return nil, err
	}
	other.body, err = other.query.Compile(body)
	return other, err
}

func (q *question) ask(b *budget, in ast.Value, how Variant) (v ast.Value, err error) {
	if b.ctx.Err() != nil {
		return nil, ErrTimeout
	}
	kept := q.results.Get().(*results)
	defer func() {
		kept.reset()
		q.results.Put(kept)
	}()
	query := topdown.NewQuery(q.body).WithQueryCompiler(q.query).WithCompiler(q.compiler).WithStore(q.store).WithTransaction(q.read).
		WithInput(ast.NewTerm(in)).WithStrictBuiltinErrors(!how.Lax).WithIndexing(!how.Unindexed).WithCancel(b).
		WithMetrics(metrics.NoOp()).WithVirtualCache(kept).WithBaseCache(unkept{})
	if how.tracer != nil {
		query = query.WithQueryTracer(how.tracer)
	}
	answers := 0
	err = query.Iter(b.ctx, func(r topdown.QueryResult) error {
		answers++
		v = r[answer].Value
		return nil
	})
	switch {
	case topdown.IsCancel(err):
		return nil, ErrTimeout
	case err != nil:
		return nil, fmt.Errorf("evaluate the policy: %w", err)
	case answers != 1:
		return nil, ErrNoDecision
	}
	return v, nil
}

// budget stops an evaluation that takes too long or whose caller has left. The
// evaluator asks it at every step, from one goroutine, so it needs neither a timer
// nor a goroutine that watches the context.
type budget struct {
	ctx   context.Context
	until time.Time // for an evaluation that has taken many steps
	last  time.Time // for every evaluation
	steps int
	over  bool
}

// The clock is read every everySteps steps. It goes on while the evaluation waits for
// a processor, so an evaluation of at most fewSteps, which is many times what a
// decision takes and less than a millisecond of work, has patience times as long: a
// busy machine must not turn into refusals.
const (
	everySteps = 64
	fewSteps   = 4096
	patience   = 10
)

func newBudget(ctx context.Context, limit time.Duration) *budget {
	now := time.Now()
	return &budget{ctx: ctx, until: now.Add(limit), last: now.Add(patience * limit)}
}

// Cancel implements topdown.Cancel.
func (b *budget) Cancel() { b.over = true }

// Cancelled implements topdown.Cancel.
func (b *budget) Cancelled() bool {
	if b.steps++; b.steps%everySteps == 0 && !b.over {
		now := time.Now()
		b.over = b.ctx.Err() != nil || now.After(b.last) || b.steps > fewSteps && now.After(b.until)
	}
	return b.over
}

// Variant says how a policy is evaluated; the zero value is how decisions are.
type Variant struct {
	Lax       bool // errors of built-in functions make an expression undefined
	Unindexed bool // every rule is tried
	tracer    topdown.QueryTracer
}

// Probe evaluates the decision for a raw input of any form.
type Probe func(ctx context.Context, in ast.Value) (document.Output, error)

// Probe makes a probe, for tests of the policy itself. Decisions are never made
// of it.
func (p *Program) Probe(v Variant) Probe {
	return func(ctx context.Context, in ast.Value) (document.Output, error) {
		out, err := p.question.ask(newBudget(ctx, probeTimeout), in, v)
		if err != nil {
			return document.Output{}, err
		}
		return document.Decode(out)
	}
}

// probeTimeout bounds one probe: ten times what a decision has.
const probeTimeout = 250 * time.Millisecond

// TimesOut reports whether a package by itself runs out of a probe's time.
func (p *Program) TimesOut(ctx context.Context, pkg string, in ast.Value) bool {
	q, err := p.question.about(pkg)
	if err != nil {
		return false
	}
	_, err = q.ask(newBudget(ctx, probeTimeout), in, Variant{})
	return errors.Is(err, ErrTimeout)
}
