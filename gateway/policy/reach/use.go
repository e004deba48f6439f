package reach

import (
	"slices"
	"strings"

	"portcullis/gateway/policy/data"
)

// Used reports whether a grant is one of those that a call needed: it is the caller's,
// or of one of its roles, and covers the operation and the resource. Whether it is over
// does not matter: it was not when the call was allowed.
func Used(g data.Grant, c Caller, operation, path string) bool {
	if g.Tenant != c.Tenant || !g.Covers(operation) {
		return false
	}
	if g.Kind == data.Subjects && g.Holder != c.Subject || g.Kind == data.Roles && !slices.Contains(c.Roles, g.Holder) {
		return false
	}
	name := strings.NewReplacer("{principal}", c.Subject, "{tenant}", c.Tenant).Replace(g.Name)
	if g.Engine == "kv" {
		return matches(name, path)
	}
	return name == path || fits(name, path)
}

// Usage is which grants recorded calls used, and for which operations.
type Usage struct {
	grants []data.Grant
	ops    map[string]map[string]int // calls by place of the grant and operation
}

// NewUsage begins with no calls.
func NewUsage(d data.Data) *Usage {
	u := &Usage{ops: map[string]map[string]int{}}
	for g := range d.Grants() {
		u.grants = append(u.grants, g)
		u.ops[g.At()] = map[string]int{}
	}
	return u
}

// Add counts an allowed call. Every grant that covers it counts as used, because each
// may ask a duty of the call.
func (u *Usage) Add(c Caller, operation, path string) {
	for _, g := range u.grants {
		if Used(g, c, operation, path) {
			u.ops[g.At()][operation]++
		}
	}
}

// Grants are all grants, in order.
func (u *Usage) Grants() []data.Grant { return u.grants }

// Ops are the operations that a grant was used for, sorted.
func (u *Usage) Ops(g data.Grant) (out []string) {
	for o := range u.ops[g.At()] {
		out = append(out, o)
	}
	slices.Sort(out)
	return out
}
