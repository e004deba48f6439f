package lint

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/open-policy-agent/opa/v1/ast"
)

// form looks at a text that a field with a form of its own is compared with: a day or an
// address that is written in another form is never the same, and is sorted elsewhere.
func (s *scope) form(at *ast.Location, name string, t *ast.Term) {
	text, ok := t.Value.(ast.String)
	if !ok || text == "" {
		return
	}
	switch name {
	case "context.time.date", "context.time.local.date":
		if _, err := time.Parse(time.DateOnly, string(text)); err != nil {
			s.linter.add(at, "value", fmt.Sprintf("input.%s is never %q, and is not sorted like it", name, string(text)), "write the day as 2026-09-01")
		}
	case "context.source_ip":
		ip, err := netip.ParseAddr(string(text))
		if err != nil {
			s.linter.add(at, "value", fmt.Sprintf("input.%s is never %q, which is no address", name, string(text)), "write an address, or use net.cidr_contains for a network")
		} else if form := ip.Unmap().String(); form != string(text) {
			s.linter.add(at, "value", fmt.Sprintf("input.%s is never %q", name, string(text)), "write the address as "+form)
		}
	}
}

// addresses wants the beginning of an address to end where a part of it does.
func (s *scope) addresses(at *ast.Location, args []*ast.Term) {
	if field, _ := s.field(args[0]); field != "context.source_ip" {
		return
	}
	for _, t := range s.constants(args[1], true) {
		if text, ok := t.Value.(ast.String); ok && !strings.HasSuffix(string(text), ".") && !strings.HasSuffix(string(text), ":") {
			s.linter.add(at, "prefix-boundary", fmt.Sprintf("%q is the beginning of other networks as well", string(text)), "use net.cidr_contains with a network, as 10.1.0.0/16")
		}
	}
}

// argumentHolds looks for an argument of another type than what it is compared with.
func (s *scope) argumentHolds(at *ast.Location, path []string, given string) {
	if len(path) != 3 || path[0] != "args" || path[1] != "values" || given == "null" || given == "set" {
		return
	}
	about, kinds := s.about(), []string{}
	for _, o := range s.linter.ops {
		p := o.In.Properties[path[2]]
		if p == nil || !about[o.Name] {
			continue
		}
		kind := typeOf(p)
		if kind == "" || kind == given {
			return
		}
		kinds = append(kinds, kind)
	}
	if len(kinds) > 0 {
		slices.Sort(kinds)
		s.linter.add(at, "value", fmt.Sprintf("input.args.values.%s is %s and is compared with %s", path[2], article(kinds[0]), article(given)), "compare it with "+article(kinds[0]))
	}
}

// typeOf is the type of an argument as Rego calls it, empty for any.
func typeOf(p *jsonschema.Schema) string {
	switch p.Type {
	case "integer", "number":
		return "number"
	case "string", "array", "object", "boolean":
		return p.Type
	}
	return ""
}

// keyed looks at a table of the data that is asked for a field with a list of values: a key
// that the field never has is never found.
func (s *scope) keyed(r ast.Ref) {
	for i := 2; i < len(r); i++ {
		field, _ := s.field(r[i])
		allowed := s.linter.values[field]
		if allowed == nil || field == "resource.mount" || !constant(r[:i]) {
			continue
		}
		table, _ := valueAt(s.linter.data, r[:i]).(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(table)) {
			if !slices.Contains(allowed, key) {
				s.linter.warn(r[0].Location, "value", fmt.Sprintf("input.%s is never %q, a key of %s", field, key, r[:i]), "it is one of "+strings.Join(allowed, ", "))
			}
		}
	}
}
