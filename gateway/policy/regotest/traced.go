package regotest

import (
	"context"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// Traced runs tests like Run and keeps every step of them, which takes many times as
// long and as much memory.
func Traced(ctx context.Context, p *program.Program, run string, bundles ...*bundle.Bundle) ([]*tester.Result, error) {
	modules, err := modules(p, bundles)
	if err != nil {
		return nil, err
	}
	txn, err := p.Store().NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, err
	}
	defer p.Store().Abort(ctx, txn)
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(program.Capabilities())).
		SetStore(p.Store()).SetModules(modules).SetTimeout(5*time.Second).
		RaiseBuiltinErrors(true).EnableTracing(true).Filter(run).RunTests(ctx, txn)
	if err != nil {
		return nil, fmt.Errorf("run the policy's tests: %w", err)
	}
	var out []*tester.Result
	for t := range results {
		out = append(out, t)
	}
	return out, nil
}

// Why is what a test expected where it failed.
type Why struct {
	Line     int    // of the expression
	Expr     string // as it was written
	Expected string // of a comparison, empty for others
	Got      string
}

// WhyNot finds the expression of a test at which it failed, from the trace of the test.
func WhyNot(t *tester.Result) (why Why, found bool) {
	for _, e := range t.Trace {
		expr, ok := e.Node.(*ast.Expr)
		if e.Op != topdown.FailOp || !ok || expr.Location == nil || expr.Location.File != t.Location.File {
			continue
		}
		why, found = whyOf(e, expr), true // the last one is the one that decided
	}
	return why, found
}

func whyOf(e *topdown.Event, expr *ast.Expr) Why {
	why := Why{Line: expr.Location.Row, Expr: string(expr.Location.Text)}
	if !expr.IsCall() && !expr.IsEquality() {
		return why
	}
	operands := expr.Operands()
	if len(operands) != 2 {
		return why
	}
	switch expr.Operator().String() {
	case "eq", "equal":
		why.Got, why.Expected = valueOf(e, operands[0]), valueOf(e, operands[1])
	case "neq", "lt", "lte", "gt", "gte":
		why.Got, why.Expected = valueOf(e, operands[0]), expr.Operator().String()+" "+valueOf(e, operands[1])
	}
	if ast.IsConstant(operands[0].Value) && !ast.IsConstant(operands[1].Value) {
		why.Got, why.Expected = why.Expected, why.Got
	}
	return why
}

// valueOf is the value of a term at a step of the evaluation.
func valueOf(e *topdown.Event, t *ast.Term) string {
	if v, ok := t.Value.(ast.Var); ok && e.Locals != nil {
		if bound := e.Locals.Get(v); bound != nil {
			return bound.String()
		}
	}
	return t.String()
}

// Reached reports whether a rule at a place held during a test.
func Reached(t *tester.Result, file string, line int) bool {
	for _, e := range t.Trace {
		rule, ok := e.Node.(*ast.Rule)
		if ok && e.Op == topdown.ExitOp && rule.Location != nil && rule.Location.File == file && rule.Location.Row == line {
			return true
		}
	}
	return false
}
