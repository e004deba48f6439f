package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// heard looks for a rule about what its team does not own: a team with a part of its own is
// heard about that alone, so such a rule is never enforced.
func (l *linter) heard(m *ast.Module, r *ast.Rule) {
	team, _ := m.Package.Path[3].Value.(ast.String)
	owns := l.owned[string(team)]
	if teams, _ := l.data["teams"].(map[string]any); len(owns) == 0 || everywhere(teams[string(team)]) {
		return
	}
	s, all := l.scopeOf(r, 0), map[string]*constraint{}
	for _, e := range r.Body {
		s.constrains(e, all)
	}
	about := s.about()
	for _, o := range l.ops {
		if about[o.Name] && slices.ContainsFunc(owns[o.Engine], func(part string) bool { return meets(part, all) }) {
			return
		}
	}
	if len(l.ops) > 0 {
		l.add(r.Location, "impossible", "the rule is about what the team "+string(team)+" does not own, and it is heard about nothing else",
			"the team owns something of "+strings.Join(slices.Sorted(maps.Keys(owns)), ", ")+": add to its part, give it global: true, or move the rule to the team that owns what it is about")
	}
}

func everywhere(team any) bool {
	m, _ := team.(map[string]any)
	return m["global"] == true
}

// meets reports whether a call on a part, or on something below it, can be one that the
// conditions are about.
func meets(part string, all map[string]*constraint) bool {
	_, plain, mounted := strings.Cut(part, ":")
	if !mounted {
		plain = part
	}
	related := func(path string) bool {
		path = strings.Trim(path, `"`)
		return strings.HasPrefix(path+"/", plain+"/") || strings.HasPrefix(plain+"/", path+"/")
	}
	below := func(path string) bool { return strings.HasPrefix(strings.Trim(path, `"`)+"/", plain+"/") }
	if c := all["resource.path"]; c != nil && c.one != nil && !slices.ContainsFunc(c.one, below) {
		return false
	}
	c := all["resource.ancestors"]
	return c == nil || !slices.ContainsFunc(c.elements, func(path string) bool { return !related(path) })
}
