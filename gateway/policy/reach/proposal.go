package reach

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/program"
)

// Proposal is a grant that can go, or that can name fewer operations.
type Proposal struct {
	Grant  program.Grant `json:"-"`
	At     string        `json:"at"`
	Remove bool          `json:"remove"`
	Ops    []string      `json:"ops,omitempty"` // that are left
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
		case u.shared(g): // without its duties, something else would show more
		case len(used) == 0:
			out = append(out, Proposal{Grant: g, At: g.At(), Remove: true})
		case !slices.Equal(used, has):
			out = append(out, Proposal{Grant: g, At: g.At(), Ops: used})
		}
	}
	return out
}

// shared reports whether a grant asks duties of calls that something else allows as
// well: another grant, or a caller's own prefix. Such a grant does not only give.
func (u *Usage) shared(g program.Grant) bool {
	if len(without(g.Terms, "ops", "expires_s")) == 0 {
		return false
	}
	return g.Engine == "kv" || slices.ContainsFunc(u.grants, func(o program.Grant) bool {
		return o.At() != g.At() && o.Tenant == g.Tenant && o.Engine == g.Engine && meets(o.Name, g.Name)
	})
}
