package data

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Kinds of those who hold grants.
const (
	Subjects = "subjects"
	Roles    = "roles"
)

// Kinds are the kinds of those who hold grants, in the order of the data.
func Kinds() []string { return []string{Subjects, Roles} }

// Table are the grants of a tenant.
type Table struct {
	Tenant string // empty for callers without a tenant
	doc    map[string]any
}

// Place is where the table stands in the data.
func (t Table) Place() []string {
	if t.Tenant == "" {
		return []string{"grants"}
	}
	return []string{"tenants", t.Tenant}
}

// Tables are the tables of all tenants, in order. A file may call the one of callers
// without a tenant "grants"; what is compiled has it as that of the tenant "".
func (d Data) Tables() iter.Seq[Table] {
	return func(yield func(Table) bool) {
		if doc := object(d.doc["grants"]); doc != nil && !yield(Table{doc: doc}) {
			return
		}
		for _, tenant := range d.Tenants() {
			if !yield(d.Table(tenant)) {
				return
			}
		}
	}
}

// Tenants are the names below tenants, sorted.
func (d Data) Tenants() []string { return slices.Sorted(maps.Keys(object(d.doc["tenants"]))) }

// Table is the table below tenants of one of them, empty where there is none.
func (d Data) Table(tenant string) Table {
	return Table{Tenant: tenant, doc: object(object(d.doc["tenants"])[tenant])}
}

// Holders are the subjects or the roles of a table with what they hold, in no order:
// there may be a hundred thousand.
func (t Table) Holders(kind string) iter.Seq2[string, Holder] {
	return func(yield func(string, Holder) bool) {
		for name, v := range object(t.doc[kind]) {
			if !yield(name, object(v)) {
				return
			}
		}
	}
}

// Names are the names of a table's subjects or roles, sorted.
func (t Table) Names(kind string) []string { return slices.Sorted(maps.Keys(object(t.doc[kind]))) }

// Holder is what a subject or a role of the table holds, nil for nothing.
func (t Table) Holder(kind, name string) Holder { return object(object(t.doc[kind])[name]) }

// Holder is what one subject, or every caller with one role, holds.
type Holder map[string]any

// Tier is the tier that the data give.
func (h Holder) Tier() (string, bool) {
	t, ok := h["tier"].(string)
	return t, ok
}

// Engines are the engines of which something is granted, in no order.
func (h Holder) Engines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for engine, v := range h {
			if object(v) != nil && !yield(engine) { // a tier is none
				return
			}
		}
	}
}

// Granted is what is granted of an engine, by name, in no order.
func (h Holder) Granted(engine string) iter.Seq2[string, Terms] { return terms(h[engine]) }

// Terms are the terms of a grant, or the duties of an operation (policies/schema/data.json).
type Terms map[string]any

// terms are the entries of a table of terms.
func terms(table any) iter.Seq2[string, Terms] {
	return func(yield func(string, Terms) bool) {
		for name, v := range object(table) {
			if !yield(name, object(v)) {
				return
			}
		}
	}
}

// Ops are the operations that a grant is for; all is true when it says none and is for
// every operation of its engine.
func (t Terms) Ops() (ops []string, all bool) {
	_, limited := t["ops"].([]any)
	return texts(t["ops"]), !limited
}

// Ends is when a grant ends, in Unix seconds; ok is false for one that does not.
func (t Terms) Ends() (s int64, ok bool) {
	end, ok := t["expires_s"].(float64)
	return int64(end), ok
}

// Ended reports whether a grant is over at a time in Unix seconds.
func (t Terms) Ended(now int64) bool {
	end, ok := t.Ends()
	return ok && end <= now
}

// Number is a term that is a number, 0 for one that is absent.
func (t Terms) Number(name string) float64 {
	n, _ := t[name].(float64)
	return n
}

// Bounds reports whether the terms bound how long something lives.
func (t Terms) Bounds() bool {
	for _, name := range [...]string{"min_ttl_s", "max_ttl_s", "min_wrap_ttl_s", "wrap_ttl_s"} {
		if _, ok := t[name]; ok {
			return true
		}
	}
	return false
}

// Transform is a transform that is asked for.
type Transform struct {
	Name string
	Args map[string]any // never nil
}

// Transforms are the transforms that are asked for.
func (t Terms) Transforms() []Transform {
	list, _ := t["transforms"].([]any)
	out := make([]Transform, len(list))
	for i, v := range list {
		out[i].Name, _ = object(v)["name"].(string)
		if out[i].Args = object(object(v)["args"]); out[i].Args == nil {
			out[i].Args = map[string]any{}
		}
	}
	return out
}

// Without are the terms but for those of some names.
func (t Terms) Without(names ...string) Terms {
	out := maps.Clone(t)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// Grant is one entry of the data: what a subject or the holders of a role may use.
type Grant struct {
	Tenant string // empty for callers without a tenant
	Kind   string // Subjects or Roles
	Holder string // the subject or the role
	Engine string
	Name   string // of a key or role, or a path with everything below it
	Terms
}

// Grants are all grants, in order.
func (d Data) Grants() iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		for t := range d.Tables() {
			for g := range t.grants() {
				if !yield(g) {
					return
				}
			}
		}
	}
}

func (t Table) grants() iter.Seq[Grant] {
	return func(yield func(Grant) bool) {
		for _, kind := range Kinds() {
			for _, who := range t.Names(kind) {
				for _, g := range t.Holder(kind, who).all() {
					g.Tenant, g.Kind, g.Holder = t.Tenant, kind, who
					if !yield(g) {
						return
					}
				}
			}
		}
	}
}

// all are the grants of a holder, in order, without who that is.
func (h Holder) all() (out []Grant) {
	for _, engine := range slices.Sorted(h.Engines()) {
		granted := maps.Collect(h.Granted(engine))
		for _, name := range slices.Sorted(maps.Keys(granted)) {
			out = append(out, Grant{Engine: engine, Name: name, Terms: granted[name]})
		}
	}
	return out
}

// Granting are data that hold one grant.
func Granting(g Grant) Data {
	table := map[string]any{g.Kind: map[string]any{g.Holder: map[string]any{g.Engine: map[string]any{g.Name: map[string]any(g.Terms)}}}}
	if g.Tenant == "" {
		return Of(map[string]any{"grants": table})
	}
	return Of(map[string]any{"tenants": map[string]any{g.Tenant: table}})
}

// Place is where the names of the grant's engine stand in the data.
func (g Grant) Place() []string {
	return append(Table{Tenant: g.Tenant}.Place(), g.Kind, g.Holder, g.Engine)
}

// At is where the grant stands in the data, as a dotted path.
func (g Grant) At() string {
	name := g.Name
	if strings.ContainsAny(name, ".{}+* ") {
		name = fmt.Sprintf("%q", name)
	}
	return strings.Join(append(g.Place(), name), ".")
}

// Covers reports whether the grant is for an operation of its engine.
func (g Grant) Covers(operation string) bool {
	ops, all := g.Ops()
	return all && strings.HasPrefix(operation, g.Engine+".") || slices.Contains(ops, operation)
}
