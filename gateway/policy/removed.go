package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/program"
)

// removed names what the policy before had and a new one has not: rules, teams and
// obligations, without which more is allowed or shown. A policy that has nothing left at
// all is refused, as one that is gone; one that has less can be required to be signed.
func (e *Engine) removed(team *bundle.Bundle, place string, signed bool) ([]string, error) {
	before := e.before()
	if before == nil || team == nil {
		return nil, nil
	}
	if len(team.Rules) == 0 && len(team.Data) == 0 && len(before.Rules)+len(before.Data) > 0 {
		return nil, fmt.Errorf("policy %s: nothing is left of it, neither a rule nor data", place)
	}
	have := map[string]bool{}
	for _, name := range tightening(team) {
		have[name] = true
	}
	gone := slices.DeleteFunc(tightening(before), func(name string) bool { return have[name] })
	if len(gone) > 0 && e.cfg.SignedRemovals && !signed {
		return nil, errors.New("the policy is refused: it no longer has " + strings.Join(gone, ", ") +
			", and what takes something away must be a signed archive (POLICY_SIGNED_REMOVALS)")
	}
	return gone, nil
}

// before is the policy that a new one is held against: the active one, or the last good
// one of an earlier run.
func (e *Engine) before() *bundle.Bundle {
	if s := e.active.Load(); s != nil {
		return s.team
	}
	if e.cfg.LastGood == "" {
		return nil
	}
	kept, err := bundle.Load(e.cfg.LastGood)
	if err != nil {
		return nil // there is none
	}
	return kept
}

// tightening names everything in a bundle that refuses or hides.
func tightening(b *bundle.Bundle) (names []string) {
	for _, f := range b.Rules {
		m, err := program.ParseFile(f.Name, f.Text, ast.RegoV1)
		if err != nil || len(m.Package.Path) != 4 {
			continue // it has no team, or its own check says more
		}
		names = append(names, "team "+strings.TrimPrefix(m.Package.Path.String(), "data.policy."))
		for _, r := range m.Rules {
			for _, a := range r.Annotations {
				if id, ok := a.Custom["id"].(string); ok {
					names = append(names, "rule "+id)
				}
			}
		}
	}
	for op, duties := range data.Of(b.Data).Obligations() {
		for field, v := range duties {
			names = append(names, fmt.Sprintf("obligation %s %s %v", op, field, v))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
