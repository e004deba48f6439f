package program

import (
	"context"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/document"
)

// listTimeout bounds one partial evaluation, which costs more than a decision. The
// patience with short evaluations does not reach it: with a few hundred rules it takes
// more than fewSteps, and a list that runs out of time hides what can be called.
const listTimeout = time.Second

// Possible reports whether arguments exist with which the caller may do the
// operation on the resource of the facts: the rule is evaluated as far as it goes
// without them (partial evaluation), and it is impossible when nothing is left of
// it.
func (p *Program) Possible(ctx context.Context, f document.Facts) (bool, error) {
	return p.possible(ctx, f, "input.args", "input.resource.version")
}

// PossibleAnywhere is Possible on any resource.
func (p *Program) PossibleAnywhere(ctx context.Context, f document.Facts) (bool, error) {
	return p.possible(ctx, f, "input.args", "input.resource")
}

func (p *Program) possible(ctx context.Context, f document.Facts, without ...string) (bool, error) {
	in := f.Input(p.reads)
	var unknown []*ast.Term
	for _, w := range without {
		unknown = append(unknown, ast.MustParseTerm(w))
	}
	q, err := rego.New(
		rego.Query("data.gateway.allowed"), rego.Compiler(p.compiler), rego.Store(p.store),
		rego.StrictBuiltinErrors(true), rego.ParsedUnknowns(unknown),
	).PrepareForPartial(ctx)
	if err != nil {
		return false, err
	}
	pq, err := q.Partial(ctx, rego.EvalParsedInput(p.writer.Value(&in)), rego.EvalExternalCancel(newBudget(ctx, listTimeout)))
	if err != nil {
		return false, err
	}
	return len(pq.Queries) > 0, nil
}

// Granted are the names that the data grant to a caller for an engine, sorted,
// whatever the grants say.
func (p *Program) Granted(c *call.Caller, engine string) []string {
	table := lookup(p.Data["tenants"], c.Tenant)
	names := entries(lookup(lookup(table, "subjects"), c.Subject), engine)
	for _, r := range c.Roles {
		names = append(names, entries(lookup(lookup(table, "roles"), r), engine)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func entries(holder any, engine string) []string {
	m, _ := lookup(holder, engine).(map[string]any)
	var out []string
	for name := range m {
		out = append(out, name)
	}
	return out
}

func lookup(table any, key string) any {
	m, _ := table.(map[string]any)
	return m[key]
}
