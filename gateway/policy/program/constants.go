package program

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxConstants bounds how many constants of a policy are listed: those of its rules
// come first, and tables of data may be of any size.
const maxConstants = 10_000

// Constants are the texts and numbers that the rules which were added spell out, and
// those of the data below team, names included: what a field of the input can be
// compared with. They are decoded JSON (string and json.Number), without duplicates,
// those of the rules first.
func (p *Program) Constants() []any {
	c := &constants{seen: map[any]bool{}}
	modules := p.TeamModules()
	for _, title := range slices.Sorted(maps.Keys(modules)) {
		for _, r := range modules[title].Rules {
			c.rule(r)
		}
	}
	c.value(p.Data.Document()["team"]) // the teams' own, of any shape
	return c.list
}

type constants struct {
	seen map[any]bool
	list []any
}

func (c *constants) add(v any) {
	if len(c.list) < maxConstants && !c.seen[v] {
		c.seen[v] = true
		c.list = append(c.list, v)
	}
}

// rule walks a rule without its annotations and what it emits, as its code: nothing is
// compared with them.
func (c *constants) rule(r *ast.Rule) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Annotations:
			return true
		case *ast.Head:
			if x.Key != nil {
				_, emitted := x.Key.Value.(ast.Object)
				return emitted
			}
		case ast.String:
			c.add(string(x))
		case ast.Number:
			c.add(json.Number(x))
		}
		return false
	}).Walk(r)
}

// value walks data in order, so that a bound cuts off the same entries every time.
func (c *constants) value(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			c.add(k)
			c.value(v[k])
		}
	case []any:
		for _, e := range v {
			c.value(e)
		}
	case string:
		c.add(v)
	case float64:
		raw, _ := json.Marshal(v) // decoded from JSON
		c.add(json.Number(raw))
	}
}
