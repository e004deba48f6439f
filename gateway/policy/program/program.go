package program

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
)

// Program is a compiled policy with its data.
type Program struct {
	Revision string
	Tiers    map[string]op.Tier
	Team     *bundle.Bundle // what was added to the embedded bundle, nil for nothing
	Data     map[string]any

	compiler *ast.Compiler
	store    storage.Store
	decide   rego.PreparedEvalQuery
}

// Compile compiles the core bundle and, over it, a team's. The error is Findings
// when something is wrong with the policy.
func Compile(ctx context.Context, core, team *bundle.Bundle) (*Program, error) {
	p := &Program{Team: team}
	bundles := []*bundle.Bundle{core}
	if team != nil {
		bundles = append(bundles, team)
	}
	p.Revision, p.Data = bundle.Revision(bundles...), bundle.Merge(bundles...)
	if err := p.checkData(bundles); err != nil {
		return nil, err
	}
	modules, err := parse(bundles)
	if err != nil {
		return nil, err
	}
	return p, p.compile(ctx, modules)
}

// parse parses the rules of the bundles, with their annotations.
func parse(bundles []*bundle.Bundle) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	var found Findings
	for _, b := range bundles {
		for _, f := range b.Rules {
			m, err := ParseFile(b.Title(f.Name), f.Text)
			if err != nil {
				found = append(found, compileFindings(err)...)
				continue
			}
			modules[b.Title(f.Name)] = m
		}
	}
	return modules, found.Err()
}

// ParseFile parses one file as a policy's.
func ParseFile(title string, text []byte) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(title, string(text), ast.ParserOptions{
		ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: Capabilities(),
	})
}

func (p *Program) compile(ctx context.Context, modules map[string]*ast.Module) error {
	p.store = inmem.NewFromObjectWithOpts(p.Data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	schemas, err := inputSchema()
	if err != nil {
		return err
	}
	p.compiler = ast.NewCompiler().WithStrict(true).WithCapabilities(Capabilities()).WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true)
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return err
	}
	defer p.store.Abort(ctx, txn)
	p.compiler.WithPathConflictsCheck(storage.NonEmpty(ctx, p.store, txn))
	if p.compiler.Compile(modules); p.compiler.Failed() {
		return compileFindings(p.compiler.Errors)
	}
	p.decide, err = p.Prepare(ctx, "data.gateway.decision")
	return err
}

// Prepare prepares a query of this program.
func (p *Program) Prepare(ctx context.Context, query string) (rego.PreparedEvalQuery, error) {
	return rego.New(
		rego.Query(query), rego.Compiler(p.compiler), rego.Store(p.store),
		rego.StrictBuiltinErrors(true), rego.GenerateJSON(rawTerm),
	).PrepareForEval(ctx)
}

// rawTerm keeps the result as the evaluator has it; it is decoded from that.
func rawTerm(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }

// ErrNoDecision is an evaluation without a result.
var ErrNoDecision = errors.New("the policy gave no decision")

// ErrTimeout is an evaluation that took too long or whose caller left.
var ErrTimeout = errors.New("the policy took too long")

// Decide evaluates the decision for an input within a time.
func (p *Program) Decide(ctx context.Context, in *document.Input, limit time.Duration) (document.Output, error) {
	v, err := p.eval(ctx, p.decide, in.Value(), limit)
	if err != nil {
		return document.Output{}, err
	}
	return document.Decode(v)
}

// eval runs a prepared query. Cancelling from outside spares the goroutine that
// the evaluator would start to watch the context.
func (p *Program) eval(ctx context.Context, q rego.PreparedEvalQuery, in ast.Value, limit time.Duration) (ast.Value, error) {
	stop := topdown.NewCancel()
	timer := time.AfterFunc(limit, stop.Cancel)
	defer timer.Stop()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, stop.Cancel)()
	}
	rs, err := q.Eval(ctx, rego.EvalParsedInput(in), rego.EvalExternalCancel(stop), rego.EvalMetrics(metrics.NoOp()))
	switch {
	case topdown.IsCancel(err):
		return nil, ErrTimeout
	case err != nil:
		return nil, fmt.Errorf("evaluate the policy: %w", err)
	case len(rs) != 1 || len(rs[0].Expressions) != 1:
		return nil, ErrNoDecision
	}
	v, ok := rs[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, ErrNoDecision
	}
	return v, nil
}
