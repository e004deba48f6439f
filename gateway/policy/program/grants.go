package program

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Grant is one entry of the data: what a subject or the holders of a role may use. This
// is the one place that knows where grants lie in the data.
type Grant struct {
	Tenant string // empty for callers without a tenant
	Kind   string // "subjects" or "roles"
	Holder string // the subject or the role
	Engine string
	Name   string         // of a key or role, or a path with everything below it
	Terms  map[string]any // ops, expires_s and duties
}

// Grants walks the grants of data in order. The data are those of a program, or of one
// file, in which grants holds those of callers without a tenant.
func Grants(data map[string]any, visit func(Grant)) {
	if table, ok := data["grants"].(map[string]any); ok {
		grantsOf("", table, visit)
	}
	tenants, _ := data["tenants"].(map[string]any)
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		table, _ := tenants[tenant].(map[string]any)
		grantsOf(tenant, table, visit)
	}
}

func grantsOf(tenant string, table map[string]any, visit func(Grant)) {
	for _, kind := range []string{"subjects", "roles"} {
		holders, _ := table[kind].(map[string]any)
		for _, who := range slices.Sorted(maps.Keys(holders)) {
			holder, _ := holders[who].(map[string]any)
			for _, engine := range slices.Sorted(maps.Keys(holder)) {
				names, _ := holder[engine].(map[string]any)
				for _, name := range slices.Sorted(maps.Keys(names)) {
					terms, _ := names[name].(map[string]any)
					visit(Grant{Tenant: tenant, Kind: kind, Holder: who, Engine: engine, Name: name, Terms: terms})
				}
			}
		}
	}
}

// At is where the grant stands in the data, as a dotted path.
func (g Grant) At() string {
	table := "grants"
	if g.Tenant != "" {
		table = "tenants." + g.Tenant
	}
	name := g.Name
	if strings.ContainsAny(name, ".{}+* ") {
		name = fmt.Sprintf("%q", name)
	}
	return strings.Join([]string{table, g.Kind, g.Holder, g.Engine, name}, ".")
}

// Ops are the operations that the grant is for; all is true when it says none and is
// for every operation of its engine.
func (g Grant) Ops() (ops []string, all bool) {
	list, limited := g.Terms["ops"].([]any)
	for _, o := range list {
		if s, ok := o.(string); ok {
			ops = append(ops, s)
		}
	}
	return ops, !limited
}

// Covers reports whether the grant is for an operation of its engine.
func (g Grant) Covers(operation string) bool {
	ops, all := g.Ops()
	return all && strings.HasPrefix(operation, g.Engine+".") || slices.Contains(ops, operation)
}

// Ended reports whether the grant is over at a time in Unix seconds.
func (g Grant) Ended(now int64) bool {
	end, ok := g.Terms["expires_s"].(float64)
	return ok && int64(end) <= now
}
