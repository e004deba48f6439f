package program

import (
	"fmt"
	"maps"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// Version is the version of the input that the rules are written for.
func (p *Program) Version() int { return p.Data.Version() }

// Zone is the zone of the local time, as the data name it.
func (p *Program) Zone() *time.Location { return p.zone }

// settings reads what the data say of the policy itself.
func (p *Program) settings() (patterns, *time.Location, error) {
	name := p.Data.Zone()
	zone, err := time.LoadLocation(name) // UTC for none
	if err != nil || name == "Local" {
		return patterns{}, nil, Findings{{
			File: p.dataTitle(), Line: 1, Check: "data", Msg: fmt.Sprintf("zone names %q, which is no time zone", name),
			Cure: "name one of the IANA time zone database, as Europe/Berlin",
		}}
	}
	if p.Version() < document.Version {
		return patterns{}, zone, nil
	}
	return patternsOf(p.Data), zone, nil
}

func (p *Program) dataTitle() string {
	if p.Team == nil {
		return "policies/data.yaml"
	}
	return p.Team.Title(p.Team.DataFile.Name)
}

// newWriter writes inputs in the version of the policy.
func (p *Program) newWriter(r document.Reads) *document.Writer {
	w := document.NewWriter(r)
	if p.Version() == 1 {
		return w.First()
	}
	return w
}

// completed is an input with what follows from the data: tier, grants with wildcards,
// and the local time where it was not asked in another zone.
func (p *Program) completed(in *document.Input) document.Input {
	out := *in
	out.Principal.Tier = p.TierOf(&in.Principal)
	out.Resource.Matches = p.patterns.matches(in)
	if out.Context.Time.Local.Zone == "" && p.reads.Any("context.time.local") {
		out.Context.Time.In(p.zone)
	}
	return out
}

// Completed is the input that the policy is asked, of one that was made without it.
func (p *Program) Completed(in *document.Input) document.Input { return p.completed(in) }

// stored is the data as the rules see them, with what the gateway works out of them, and
// notes whether each refusal must be looked at.
func (p *Program) stored() map[string]any {
	out := map[string]any{}
	maps.Copy(out, p.Data.Document())
	owned := map[string]any{} // tables, so that a path is looked up in them
	for team, engines := range p.Data.Owned() {
		parts := map[string]any{}
		for engine, names := range engines {
			table := make(map[string]any, len(names))
			for _, n := range names {
				table[n] = true
			}
			parts[engine] = table
		}
		owned[team] = parts
	}
	p.qualified = len(owned) > 0 || p.dryRun()
	out["computed"] = map[string]any{"owned": owned, "qualified": p.qualified}
	return out
}

// dryRun reports whether any rule of a team may be in dry run, so that nobody looks for
// one where there is none.
func (p *Program) dryRun() bool {
	found := false
	for _, m := range p.TeamModules() {
		ast.WalkTerms(m, func(t *ast.Term) bool {
			found = found || t.Value.Compare(ast.String("dry_run")) == 0
			return found
		})
	}
	return found
}

// document is what calls are answered with. Where nothing is in dry run and no team has a
// part of its own, the decision is the answer (policies/gateway/decision.rego), and the
// step between them is a tenth of an evaluation.
func (p *Program) document() string {
	if p.qualified {
		return "data.gateway.decision"
	}
	return "data.gateway.answer"
}
