package program

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
)

// Alone compiles the embedded rules with the data of p, without the rules that
// were added: what a team changes is the difference.
func (p *Program) Alone(ctx context.Context, core *bundle.Bundle) (*Program, error) {
	return p.variant(ctx, core, ast.RegoV1, nil)
}

// Empty compiles the embedded rules without any data.
func Empty(ctx context.Context, core *bundle.Bundle) (*Program, error) {
	p := &Program{}
	return p.variant(ctx, core, ast.RegoV1, nil)
}

// Retired is what records of decisions still need of a policy that no longer decides.
func (p *Program) Retired() *Program { return &Program{Revision: p.Revision, zone: p.zone} }

// Newest compiles every rule as the newest Rego, in which a `not` over something
// missing is true: where that answers differently, a rule fails open.
func (p *Program) Newest(ctx context.Context, core *bundle.Bundle) (*Program, error) {
	return p.variant(ctx, core, ast.RegoV2, p.Team)
}

// IsNewest reports whether every rule is written in the newest Rego, so that Newest says
// nothing else.
func (p *Program) IsNewest() bool {
	for _, m := range p.parsed {
		if m.RegoVersionSpan().Max() != ast.RegoV2 {
			return false
		}
	}
	return true
}

func (p *Program) variant(ctx context.Context, core *bundle.Bundle, v ast.RegoVersion, team *bundle.Bundle) (*Program, error) {
	bundles := []*bundle.Bundle{core}
	if team != nil {
		bundles = append(bundles, team)
	}
	modules, err := parse(bundles, v)
	if err != nil {
		return nil, err
	}
	q := &Program{Revision: p.Revision, Tiers: p.Tiers, Data: p.Data, Team: team, parsed: modules, patterns: p.patterns, zone: p.zone, store: p.store, ends: p.ends}
	return q, q.compile(ctx, modules)
}
