package policy

import (
	"maps"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/document"
)

// Named is something that the data grant by its name: a key, a role, or a path
// and everything below it.
type Named struct {
	Engine string
	Name   string   // a segment may be the wildcard + of Vault's policies
	Ops    []string // empty for every operation of the engine
}

// Granted lists what the active data grant a caller by name, of its own and of its
// roles, at a time. A caller's own prefix needs no grant and is not among them.
func (e *Engine) Granted(c *call.Caller, now time.Time) []Named {
	s := e.of(c)
	table := object(s.Data, "tenants", c.Tenant)
	in := &document.Input{Principal: document.Principal{ID: c.Subject, Tenant: c.Tenant, Roles: c.Roles, Claims: c.Claims}}
	resolve := func(roles ...string) func(string) []string {
		return func(key string) []string { return s.Names(key, in, roles) }
	}
	list := named(object(table, "subjects", c.Subject), now, resolve(c.Roles...))
	for _, role := range c.Roles {
		list = append(list, named(object(table, "roles", role), now, resolve(role))...)
	}
	return list
}

// Subjects are those that the active data name, by tenant.
func (e *Engine) Subjects() map[string][]string {
	tenants := object(e.active.Load().Data, "tenants")
	all := make(map[string][]string, len(tenants))
	for tenant := range tenants {
		all[tenant] = slices.Sorted(maps.Keys(object(tenants, tenant, "subjects")))
	}
	return all
}

// named reads the grants of one subject or role (policies/schema/data.json). resolve
// gives the names that the name of a grant stands for.
func named(table map[string]any, now time.Time, resolve func(string) []string) (list []Named) {
	for engine := range table {
		for name := range object(table, engine) {
			grant := object(table, engine, name)
			if end, ok := grant["expires_s"].(float64); ok && now.Unix() >= int64(end) {
				continue
			}
			n := Named{Engine: engine, Name: name}
			ops, limited := grant["ops"].([]any)
			for _, o := range ops {
				if s, ok := o.(string); ok {
					n.Ops = append(n.Ops, s)
				}
			}
			if limited && len(n.Ops) == 0 {
				continue
			}
			for _, n.Name = range resolve(name) {
				list = append(list, n)
			}
		}
	}
	return list
}

// Covers reports whether the grant is for an operation of its engine.
func (n Named) Covers(operation string) bool {
	return len(n.Ops) == 0 || slices.Contains(n.Ops, operation)
}

// object descends into decoded JSON; it is nil where nothing is.
func object(v map[string]any, keys ...string) map[string]any {
	for _, k := range keys {
		v, _ = v[k].(map[string]any)
	}
	return v
}
