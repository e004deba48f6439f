package reach

import (
	"cmp"
	"slices"
	"strings"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
)

// Anybody is the subject, and the tenant, of what every authenticated caller has.
const Anybody = "*"

// OwnPrefix is the path of what lies below a caller's own prefix, whatever it is.
const OwnPrefix = "{prefix}"

// Entry is one operation that a subject, or whoever holds a role, may be allowed on a
// path. A path of the engine kv stands for itself and everything below it; of the
// other engines it is the name of a key or role, and empty where nothing is named.
type Entry struct {
	Tenant  string `json:"tenant"`
	Subject string `json:"subject,omitempty"`
	Role    string `json:"role,omitempty"`
	Op      string `json:"op"`
	Mount   string `json:"mount"`
	Path    string `json:"path"`
	Via     string `json:"via"` // where it comes from: a place in the data, or a rule of the embedded policy
}

// Who is the subject, or the role with its kind.
func (e Entry) Who() string {
	who := e.Subject
	if e.Role != "" {
		who = "role " + e.Role
	}
	if e.Tenant != "" && e.Tenant != Anybody {
		who = e.Tenant + "/" + who
	}
	return who
}

// Bound is the upper bound of a policy at a time in Unix seconds. Grants that are over
// by then are left out; rules of teams, scopes and the end of a grant can only make it
// smaller.
func Bound(d data.Data, ops []*op.Op, now int64) []Entry {
	out := everybody(ops)
	for g := range d.Grants() {
		if g.Ended(now) {
			continue
		}
		for _, o := range ops {
			if o.Engine == g.Engine && g.Covers(o.Name) {
				out = append(out, entry(g, o))
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Role, b.Role),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Op, b.Op))
	})
	return out
}

func entry(g data.Grant, o *op.Op) Entry {
	m, name := o.Named(g.Name)
	e := Entry{Tenant: g.Tenant, Op: o.Name, Mount: m.Path, Path: name, Via: g.At()}
	if g.Kind == data.Roles {
		e.Role = g.Holder
		return e
	}
	e.Subject = g.Holder
	e.Path = strings.ReplaceAll(e.Path, "{principal}", g.Holder)
	return e
}

// everybody is what the embedded policy gives to every authenticated caller
// (policies/gateway/resources.rego).
func everybody(ops []*op.Op) (out []Entry) {
	for _, o := range ops {
		e := Entry{Tenant: Anybody, Subject: Anybody, Op: o.Name, Mount: o.Mount}
		switch {
		case o.Engine == "kv":
			e.Path, e.Via = OwnPrefix, "gateway.granted.own"
		case op.NeedsNoGrant(o.Engine):
			e.Via = "gateway.granted.self"
		case o.Unnamed:
			e.Via = "gateway.granted.unnamed"
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// Filter keeps the entries that are about a path, an operation or somebody; an empty
// one keeps all. What every caller has is about everybody.
type Filter struct {
	Path, Op, Who string
}

// Keep reports whether an entry passes the filter.
func (f Filter) Keep(e Entry) bool {
	if f.Op != "" && e.Op != f.Op {
		return false
	}
	if f.Who != "" && e.Subject != Anybody && f.Who != e.Subject && f.Who != e.Role && f.Who != e.Tenant+"/"+e.Subject {
		return false
	}
	switch {
	case f.Path == "":
		return true
	case e.Path == OwnPrefix:
		return strings.HasPrefix(e.Op, "kv.")
	case strings.HasPrefix(e.Op, "kv."):
		return meets(e.Path, f.Path)
	}
	return e.Path == f.Path || fits(e.Path, f.Path)
}

// Caller is who a call is from, as a policy sees it.
type Caller struct {
	Tenant, Subject, Prefix string
	Roles                   []string
}

// Allows reports whether a call can be one of those that the entry stands for.
func (e Entry) Allows(c Caller, operation, path string) bool {
	if e.Op != operation {
		return false
	}
	if e.Subject != Anybody && (e.Tenant != c.Tenant || e.Subject != c.Subject && !slices.Contains(c.Roles, e.Role)) {
		return false
	}
	filled := strings.NewReplacer("{principal}", c.Subject, "{tenant}", c.Tenant, OwnPrefix, c.Prefix).Replace(e.Path)
	if strings.HasPrefix(operation, "kv.") {
		return filled != "" && matches(filled, path)
	}
	return filled == path || fits(filled, path)
}

// matches reports whether a path is, or lies below, one of a pattern's paths.
func matches(pattern, path string) bool {
	ps, segs := segments(pattern), segments(path)
	if len(ps) > len(segs) {
		return false
	}
	for i, p := range ps {
		if p != segs[i] && !fits(p, segs[i]) {
			return false
		}
	}
	return true
}
