package policycmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// maxValues bounds how many values of one field are tried.
const maxValues = 64

// remediesOf are the changes to try. Scopes, roles that have grants, the resource, the
// kind and the time are known by name; every other field that the rules read gets the
// values that the rules and the data spell out, and others.
func (p Policy) remediesOf(prog *program.Program, in document.Input) []remedy {
	out := scopesAndRoles(prog, in)
	out = append(out, resources(prog, in)...)
	for _, kind := range []string{"human", "agent", "service"} {
		if in.Principal.Kind != kind {
			out = append(out, remedy{name: "a caller of the kind " + kind, field: "principal.kind", apply: func(i *document.Input) { i.Principal.Kind = kind }})
		}
	}
	out = append(out, times(prog, in)...)
	c := &changes{in: in, constants: prog.Constants(), first: prog.Version() < document.Version}
	for _, f := range leavesRead(prog.TeamReads(), in) {
		out = append(out, c.of(f)...)
	}
	out = append(out, c.nulls(prog.TeamReads())...)
	if prog.TeamReads().Any("action") {
		out = append(out, p.operations(in)...)
	}
	return out
}

func scopesAndRoles(prog *program.Program, in document.Input) (out []remedy) {
	for _, s := range []string{"read", "list", "write", "delete"} {
		if !slices.Contains(in.Principal.Scopes, s) {
			out = append(out, remedy{name: "the scope " + s, field: "principal.scopes", apply: func(i *document.Input) {
				i.Principal.Scopes = append(slices.Clone(i.Principal.Scopes), s)
			}})
		}
	}
	for _, role := range prog.Data.Table(in.Principal.Tenant).Names(data.Roles) {
		if !slices.Contains(in.Principal.Roles, role) {
			out = append(out, remedy{name: "the role " + role, field: "principal.roles", apply: func(i *document.Input) {
				i.Principal.Roles = append(slices.Clone(i.Principal.Roles), role)
			}})
		}
	}
	return out
}

// resources are the caller's own part of the mount, what is granted to it, and the
// paths that rules spell out.
func resources(prog *program.Program, in document.Input) []remedy {
	var names []string
	if in.Action.Engine == "kv" && in.Principal.Prefix != "" {
		last := in.Resource.Path[strings.LastIndexByte(in.Resource.Path, '/')+1:]
		names = append(names, strings.Trim(in.Principal.Prefix+"/"+last, "/"), in.Principal.Prefix+"/another/"+last)
	}
	c := &call.Caller{Subject: in.Principal.ID, Tenant: in.Principal.Tenant, Roles: in.Principal.Roles}
	names = append(names, prog.Granted(c, in.Action.Engine)...)
	if prog.TeamReads().Any("resource.path") || prog.TeamReads().Any("resource.ancestors") {
		names = append(names, paths(prog.Constants())...)
	}
	var out []remedy
	seen := map[string]bool{in.Resource.Path: true}
	for _, n := range names {
		path, err := call.ParsePath(n)
		if err != nil || seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, remedy{name: fmt.Sprintf("the resource %q", n), field: "resource.path", apply: func(i *document.Input) {
			setField(i, "resource.path", path.String())
		}})
	}
	return out
}

// paths are the constants that look like paths, and something below each.
func paths(constants []any) (out []string) {
	for _, c := range constants {
		if s, ok := c.(string); ok && strings.Contains(s, "/") && len(out) < maxValues {
			s = strings.Trim(s, "/")
			out = append(out, s, s+"/x")
		}
	}
	return out
}

// times are tried only for a policy that reads them.
func times(prog *program.Program, in document.Input) []remedy {
	var out []remedy
	if prog.Reads().Any("context.time.hour_utc") {
		for h := range 24 {
			if h != in.Context.Time.HourUTC {
				out = append(out, remedy{name: fmt.Sprintf("the hour %d UTC", h), field: "context.time.hour_utc", apply: func(i *document.Input) { i.Context.Time.HourUTC = h }})
			}
		}
	}
	if prog.Reads().Any("context.time.weekday") {
		for _, d := range lint.FixedValues()["context.time.weekday"] {
			if d != in.Context.Time.Weekday {
				out = append(out, remedy{name: "the day " + d, field: "context.time.weekday", apply: func(i *document.Input) { i.Context.Time.Weekday = d }})
			}
		}
	}
	return out
}

// operations are the other operations of the engine.
func (p Policy) operations(in document.Input) (out []remedy) {
	for _, o := range p.Catalogue.All() {
		if o.Engine == in.Action.Engine && o.Name != in.Action.Op {
			out = append(out, remedy{name: "the operation " + o.Name, field: "action", apply: func(i *document.Input) {
				i.Action = document.Action{Op: o.Name, Engine: o.Engine, Effect: string(o.Effect), Public: o.Public}
			}})
		}
	}
	return out
}

// leavesRead are the leaves of the input at and below what rules read, those of open
// tables as the input has them.
func leavesRead(r document.Reads, in document.Input) (out []string) {
	for _, path := range r.Paths() {
		out = append(out, leavesBelow(path, in)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func leavesBelow(path string, in document.Input) (out []string) {
	names, open := document.FieldsOf(path)
	if table, ok := fieldOf(in, path).(map[string]any); ok && open && document.HasField(path) {
		names = slices.Sorted(maps.Keys(table))
	}
	if len(names) == 0 {
		return []string{path}
	}
	for _, n := range names {
		if below := strings.TrimPrefix(path+"."+n, "."); open {
			out = append(out, below)
		} else {
			out = append(out, leavesBelow(below, in)...)
		}
	}
	return out
}

// changes makes the changes of single fields.
type changes struct {
	in        document.Input
	constants []any
	first     bool // the rules see input version 1, where on_behalf_of is who acts
}

// get is a field as the rules see it; nil for one that is not there.
func (c *changes) get(in document.Input, name string) any { return member(c.seen(in), name) }

// put changes a field as the rules see it.
func (c *changes) put(in *document.Input, name string, v any) { change(in, c.seen(*in), name, v) }

// seen is the input as the rules see it.
func (c *changes) seen(in document.Input) map[string]any {
	out := decoded(in)
	p, ok := out["principal"].(map[string]any)
	if !c.first || !ok {
		return out
	}
	out["v"], p["on_behalf_of"] = 1, nil
	if actors, _ := p["actors"].([]any); len(actors) > 0 {
		p["on_behalf_of"] = actors[0]
	}
	delete(p, "actors")
	delete(p, "acting")
	return out
}

// of are the changes of a field; none for the fields that have changes of their own,
// for what the gateway makes itself, and for those below an object that is changed as
// a whole.
func (c *changes) of(field string) []remedy {
	switch field {
	case "v", "request.id", "principal.kind", "resource.path", "resource.ancestors", "context.time.hour_utc", "context.time.weekday":
		return nil
	}
	if document.Within(field, "action") {
		return nil
	}
	now := c.get(c.in, field)
	if list, ok := now.([]any); ok {
		return c.list(field, list)
	}
	var out []remedy
	tried := map[string]bool{fmt.Sprint(now): true}
	for _, v := range c.values(field, now) {
		if !tried[fmt.Sprint(v)] && len(out) < maxValues {
			tried[fmt.Sprint(v)] = true
			out = append(out, c.set(field, v))
		}
	}
	if now != nil && document.Within(field, "args.values") {
		out = append(out, remedy{name: "without the argument " + strings.TrimPrefix(field, "args.values."), field: field, apply: func(i *document.Input) { unsetArg(i, field) }})
	}
	return out
}

// another is the value of a text that no rule spells out.
const another = "other"

// elsewhere are addresses that are nobody's (RFC 5737, RFC 3849).
func elsewhere() []any { return []any{"192.0.2.1", "198.51.100.1", "2001:db8::1"} }

// other reports whether a value stands for all that no rule spells out.
func other(field string, v any) bool {
	return v == another || field == "context.source_ip" && slices.Contains(elsewhere(), v)
}

// set is the change of a field to a value.
func (c *changes) set(field string, v any) remedy {
	name := "input." + field + " = " + quoted(v)
	if other(field, v) && c.get(c.in, field) != nil {
		name = "another input." + field + ", as " + quoted(v)
	}
	return remedy{name: name, field: field, whatever: other(field, v), apply: func(i *document.Input) { c.put(i, field, v) }}
}

// values are what a field is tried with: its closed set, or something that no rule
// spells out, then constants of its type, numbers with their neighbours.
func (c *changes) values(field string, now any) (out []any) {
	for _, v := range lint.FixedValues()[field] {
		out = append(out, v)
	}
	if len(out) > 0 {
		return out
	}
	text, number, open := false, false, false
	switch now := now.(type) {
	case string:
		text = true
	case float64:
		number = true
	case bool:
		out = append(out, !now)
	case nil:
		open = true // of any type, as an argument that was not given
	}
	switch {
	case open:
		out = append(out, another, true, false, 1)
	case text && field != "context.source_ip":
		out = append(out, another, "")
	case text:
		out = append(out, elsewhere()...)
	case number:
		out = append(out, 0, 1)
	}
	for _, k := range c.constants {
		switch k := k.(type) {
		case string:
			if text || open {
				out = append(out, texts(field, k)...)
			}
		case json.Number:
			if number || open {
				out = append(out, neighbours(k)...)
			}
		}
	}
	return out
}

// nulls are the objects and values that can be left out, as the actor.
func (c *changes) nulls(r document.Reads) (out []remedy) {
	seen := map[string]bool{}
	for _, f := range leavesRead(r, c.in) {
		for ; strings.Contains(f, "."); f = f[:strings.LastIndexByte(f, '.')] {
			if seen[f] || document.Within(f, "args") || c.get(c.in, f) == nil {
				continue
			}
			seen[f] = true
			without, part := c.in, f
			if c.put(&without, part, nil); c.get(without, part) == nil {
				out = append(out, remedy{name: "input." + part + " = null", field: part, apply: func(i *document.Input) { c.put(i, part, nil) }})
			}
		}
	}
	return out
}

// texts are what a constant suggests for a field: an address for a network.
func texts(field, constant string) []any {
	if field != "context.source_ip" {
		return []any{constant}
	}
	if p, err := netip.ParsePrefix(constant); err == nil {
		return []any{p.Addr().String()}
	}
	if a, err := netip.ParseAddr(constant); err == nil {
		return []any{a.String()}
	}
	return nil
}

// neighbours are a number and the two beside it, none below zero.
func neighbours(k json.Number) (out []any) {
	n, err := k.Int64()
	if err != nil {
		return []any{k}
	}
	for _, v := range []int64{n - 1, n, n + 1} {
		if v >= 0 {
			out = append(out, v)
		}
	}
	return out
}

// list are the changes of a list of texts: each element left out, each constant added.
func (c *changes) list(field string, now []any) (out []remedy) {
	for i, e := range now {
		if s, ok := e.(string); ok && strings.HasPrefix(s, "hmac:") {
			continue // what it is, the log hides
		}
		less := slices.Delete(slices.Clone(now), i, i+1)
		out = append(out, remedy{name: fmt.Sprintf("%v not in input.%s", quoted(e), field), field: field, apply: func(i *document.Input) { setField(i, field, less) }})
	}
	for _, k := range c.constants {
		if _, ok := k.(string); !ok || slices.Contains(now, k) || len(out) >= maxValues {
			continue
		}
		more := append(slices.Clone(now), k)
		out = append(out, remedy{name: fmt.Sprintf("%v in input.%s", quoted(k), field), field: field, apply: func(i *document.Input) { setField(i, field, more) }})
	}
	return append(out, c.set(field, []any{}))
}

func quoted(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// unsetArg takes an argument away.
func unsetArg(in *document.Input, field string) {
	parts := strings.Split(field, ".")
	setField(in, field, nil)
	if len(parts) == 3 {
		in.Args.Values = maps.Clone(in.Args.Values)
		delete(in.Args.Values, parts[2])
		in.Args.Keys = slices.DeleteFunc(slices.Clone(in.Args.Keys), func(k string) bool { return k == parts[2] })
	}
}
