package reach

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
)

// Proposal is a grant that can go, or that can name fewer operations.
type Proposal struct {
	Grant  data.Grant `json:"-"`
	At     string     `json:"at"`
	Remove bool       `json:"remove"`
	Ops    []string   `json:"ops,omitempty"` // that are left
}

// String is the proposal in words.
func (p Proposal) String() string {
	if p.Remove {
		return "remove " + p.At
	}
	return fmt.Sprintf("limit %s to %s", p.At, strings.Join(p.Ops, ", "))
}

// Proposals are the smallest grants that the counted calls need. A grant that is
// exactly as large is left alone.
func (u *Usage) Proposals(ops []*op.Op) (out []Proposal) {
	left := u.needed()
	stays := map[string]bool{}
	for _, g := range left {
		stays[g.At()] = true
	}
	for _, g := range u.grants {
		used := u.Ops(g)
		var has []string
		for _, o := range ops {
			if o.Engine == g.Engine && g.Covers(o.Name) {
				has = append(has, o.Name)
			}
		}
		slices.Sort(has)
		switch {
		case !stays[g.At()]:
			out = append(out, Proposal{Grant: g, At: g.At(), Remove: true})
		case shared(left, g): // without its duties, something else would show more
		case !slices.Equal(used, has):
			out = append(out, Proposal{Grant: g, At: g.At(), Ops: used})
		}
	}
	return out
}

// needed are the grants that stay. One that no call used goes, unless it asks duties of
// calls that another one which stays allows as well; so they go in turns.
func (u *Usage) needed() []data.Grant {
	left := slices.Clone(u.grants)
	for {
		before := slices.Clone(left)
		left = slices.DeleteFunc(left, func(g data.Grant) bool { return len(u.ops[g.At()]) == 0 && !shared(before, g) })
		if len(left) == len(before) {
			return left
		}
	}
}

// shared reports whether a grant asks duties of calls that something else allows as
// well: another grant, or a caller's own prefix. Such a grant does not only give.
func shared(grants []data.Grant, g data.Grant) bool {
	if len(g.Without("ops", "expires_s")) == 0 {
		return false
	}
	return g.Engine == "kv" || slices.ContainsFunc(grants, func(o data.Grant) bool {
		return o.At() != g.At() && o.Tenant == g.Tenant && o.Engine == g.Engine && meets(o.Name, g.Name)
	})
}
