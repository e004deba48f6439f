package program

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"portcullis/gateway/policy/document"
)

// traceTimeout bounds a trace, for which a person waits.
const traceTimeout = 5 * time.Second

// Trace evaluates the decision and returns the steps that did not hold and what
// led to them. It costs ten times a decision.
func (p *Program) Trace(ctx context.Context, in *document.Input) ([]string, error) {
	tracer := topdown.NewBufferTracer()
	asked := p.completed(in)
	w := p.newWriter(document.Everything())
	if _, err := p.question.ask(newBudget(ctx, traceTimeout), w.Value(&asked), Variant{tracer: tracer}); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	topdown.PrettyTraceWithLocation(&buf, lineage.Fails(*tracer))
	return strings.Split(strings.TrimRight(buf.String(), "\n"), "\n"), nil
}
