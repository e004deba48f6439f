package program

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
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
	return p.possible(ctx, f, unknownsOf(f, "input.resource.version"))
}

// unplaced are the fields of the input that are not known without a resource. Grants with
// wildcards are: those that are for some resource (patterns.anywhere). Were they unknown,
// the rules would be evaluated for every grant of everybody.
func unplaced() []string {
	return []string{
		"input.resource.mount", "input.resource.path", "input.resource.ancestors", "input.resource.version", "input.resource.relative",
		"input.resource.segments", "input.resource.relative_segments",
	}
}

// PossibleAnywhere is Possible on some resource. Where the rules of teams look at the
// place and do not blur it, places are tried until one is possible.
func (p *Program) PossibleAnywhere(ctx context.Context, f document.Facts) (bool, error) {
	if op.NeedsNoGrant(f.Op.Engine) {
		return p.Possible(ctx, f)
	}
	u := unknownsOf(f, unplaced()...)
	u.anywhere = true
	ok, err := p.possible(ctx, f, u)
	if err != nil || !ok || !p.placed || len(f.Op.More) > 0 { // of several mounts, places are not told apart
		return ok, err
	}
	places, all := p.places(f)
	if !all {
		return true, nil
	}
	for _, place := range places {
		if f.Resource.Path, err = call.ParsePath(place); err != nil {
			continue // no call can have it
		}
		if ok, err := p.Possible(ctx, f); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
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

// unknowns are what a list does not know.
type unknowns struct {
	terms    []*ast.Term
	anywhere bool // on which resource
}

func unknownsOf(f document.Facts, more ...string) (u unknowns) {
	for _, w := range append(unsaid(f), more...) {
		u.terms = append(u.terms, refTerm(w))
	}
	return u
}

// refTerm is a reference as "input.request.id". The parser, which would make the same of
// it, takes as long as half of the evaluation.
func refTerm(dotted string) *ast.Term {
	head, rest, _ := strings.Cut(dotted, ".")
	ref := ast.Ref{ast.VarTerm(head)}
	for name := range strings.SplitSeq(rest, ".") {
		ref = append(ref, ast.StringTerm(name))
	}
	return ast.NewTerm(ref)
}

func (p *Program) possible(ctx context.Context, f document.Facts, u unknowns) (bool, error) {
	in := f.Input(p.reads)
	ok, err := p.possibleFor(ctx, f.Op, in, u)
	if other := in.Beside(); err == nil && ok && other != nil {
		return p.possibleFor(ctx, f.Op, *other, u)
	}
	return ok, err
}

// possibleFor is possible for the principal of an input alone.
func (p *Program) possibleFor(ctx context.Context, o *op.Op, in document.Input, u unknowns) (bool, error) {
	in = p.completed(&in)
	if u.anywhere {
		in.Resource.Matches = p.patterns.anywhere(&in)
	}
	left, err := p.left(ctx, p.allowed, &in, u.terms)
	if err != nil || len(left) == 0 {
		return false, err
	}
	// What is left of a "not" says nothing of what is behind it, so whether a team refuses
	// whatever is still unknown is a question of its own.
	against, err := p.left(ctx, p.refused, &in, u.terms)
	return err == nil && avoidable(o, against), err
}

// rule is a rule that is ready for partial evaluation. It is made ready for the first list
// that asks: a program that is only compared with another is asked for none.
type rule func() (rego.PreparedPartialQuery, error)

func (p *Program) rule(name string) rule {
	return sync.OnceValues(func() (rego.PreparedPartialQuery, error) {
		return rego.New(
			rego.ParsedQuery(ast.NewBody(ast.NewExpr(refTerm(name)))), rego.Compiler(p.compiler), rego.Store(p.store),
			rego.StrictBuiltinErrors(true),
		).PrepareForPartial(context.Background())
	})
}

// left is what is left of a rule without the unknown fields: it holds when one of the
// bodies does, and always when one of them is empty.
func (p *Program) left(ctx context.Context, of rule, in *document.Input, unknown []*ast.Term) ([]ast.Body, error) {
	q, err := of()
	if err != nil {
		return nil, err
	}
	pq, err := q.Partial(ctx, rego.EvalParsedInput(p.writer.Value(in)), rego.EvalParsedUnknowns(unknown), rego.EvalExternalCancel(newBudget(ctx, listTimeout)))
	if err != nil {
		return nil, err
	}
	return plain(pq), nil
}

// Granted are the names that the data grant to a caller for an engine, sorted,
// whatever the grants say.
//
// Templates are what the caller is; a name with a wildcard is left as it is.
func (p *Program) Granted(c *call.Caller, engine string) []string {
	table := p.Data.Table(c.Tenant)
	in := &document.Input{Principal: document.Principal{ID: c.Subject, Tenant: c.Tenant, Roles: c.Roles, Claims: c.Claims}}
	var names []string
	each(in, func(kind, name string, roles []string) {
		for key := range table.Holder(kind, name).Granted(engine) {
			names = append(names, p.Names(key, in, roles)...)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Names are Names of a grant of this policy: one of version 1 has no patterns.
func (p *Program) Names(key string, in *document.Input, roles []string) []string {
	if p.Version() < document.Version || !IsPattern(key) {
		return []string{key}
	}
	return Names(key, in, roles)
}

// Claims are the claims that templates in the names of grants stand for, sorted.
func (p *Program) Claims() []string { return p.patterns.claims }
