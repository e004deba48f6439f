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
// it. Nor is it known what a call will say of itself: its reason, its client, how its
// answer is to be delivered and, where the facts name none, its transport.
func (p *Program) Possible(ctx context.Context, f document.Facts) (bool, error) {
	return p.possible(ctx, f, "input.resource.version")
}

// PossibleAnywhere is Possible on any resource.
func (p *Program) PossibleAnywhere(ctx context.Context, f document.Facts) (bool, error) {
	return p.possible(ctx, f, "input.resource")
}

// unsaid are the fields of the input that are not known before there is a call.
func unsaid(f document.Facts) []string {
	fields := []string{
		"input.args", "input.request.id", "input.request.deliver", "input.request.wrap_ttl_s", "input.request.ttl_s", "input.request.reason",
		"input.context.client",
	}
	if f.Request.Transport == "" {
		fields = append(fields, "input.request.transport")
	}
	if f.Op.MayDestroy() && !f.Destructive {
		fields = append(fields, "input.action.destructive")
	}
	return fields
}

func (p *Program) possible(ctx context.Context, f document.Facts, resource string) (bool, error) {
	in := f.Input(p.reads)
	in = p.completed(&in)
	var unknown []*ast.Term
	for _, w := range append(unsaid(f), resource) {
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
//
// Templates are what the caller is; a name with a wildcard is left as it is.
func (p *Program) Granted(c *call.Caller, engine string) []string {
	table := lookup(p.Data["tenants"], c.Tenant)
	in := &document.Input{Principal: document.Principal{ID: c.Subject, Tenant: c.Tenant, Roles: c.Roles, Claims: c.Claims}}
	var names []string
	each(in, func(kind, name string) {
		for _, key := range entries(lookup(lookup(table, kind), name), engine) {
			names = append(names, p.Names(key, in, name)...)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Names are Names of a grant of this policy: one of version 1 has no patterns.
func (p *Program) Names(key string, in *document.Input, holder string) []string {
	if p.Version() < document.Version || !IsPattern(key) {
		return []string{key}
	}
	return Names(key, in, holder)
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
