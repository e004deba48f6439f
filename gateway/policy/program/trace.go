package program

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"portcullis/gateway/policy/document"
)

// Trace evaluates the decision and returns the steps that did not hold and what
// led to them. It costs ten times a decision.
func (p *Program) Trace(ctx context.Context, in *document.Input) ([]string, error) {
	tracer := topdown.NewBufferTracer()
	w := document.NewWriter(document.Everything())
	q, err := p.Prepare(ctx, "data.gateway.decision", Strict)
	if err != nil {
		return nil, err
	}
	_, err = q.Eval(ctx, rego.EvalParsedInput(w.Value(in)), rego.EvalQueryTracer(tracer))
	if err != nil {
		return nil, fmt.Errorf("evaluate the policy: %w", err)
	}
	var buf bytes.Buffer
	topdown.PrettyTraceWithLocation(&buf, lineage.Fails(*tracer))
	return strings.Split(strings.TrimRight(buf.String(), "\n"), "\n"), nil
}
