package program

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

// Possible reports whether any resource and any arguments exist for which the
// caller may do the operation: the rule is evaluated as far as it goes without
// them (partial evaluation), and it is impossible when nothing is left of it.
func (p *Program) Possible(ctx context.Context, c *call.Caller, o *op.Op) (bool, error) {
	in := document.ForOp(c, o, time.Now())
	pq, err := rego.New(
		rego.Query("data.gateway.allowed"), rego.Compiler(p.compiler), rego.Store(p.store),
		rego.StrictBuiltinErrors(true), rego.ParsedInput(p.writer.Value(&in)),
		rego.ParsedUnknowns([]*ast.Term{ast.MustParseTerm("input.resource"), ast.MustParseTerm("input.args")}),
	).Partial(ctx)
	if err != nil {
		return false, err
	}
	return len(pq.Queries) > 0, nil
}
