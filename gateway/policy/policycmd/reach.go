package policycmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/reach"
)

// reached is the JSON form of Reach. Bound says that no call outside of the entries
// can be allowed, and that some inside may be denied.
type reached struct {
	Bound   string        `json:"bound"`
	Entries []reach.Entry `json:"entries"`
}

// Reach writes who can do what: an upper bound, made of the data and of what the
// embedded policy gives to every caller.
func (p Policy) Reach(ctx context.Context, f reach.Filter) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	if f.Op != "" && p.Catalogue.Get(f.Op) == nil {
		return fmt.Errorf("no operation is called %q", f.Op)
	}
	if _, err := call.ParsePath(f.Path); f.Path != "" && err != nil {
		return fmt.Errorf("--path %q: no call can have it: %w", f.Path, err)
	}
	r := reached{Bound: "upper", Entries: []reach.Entry{}}
	for _, e := range reach.Bound(prog.Data, p.Catalogue.All(), time.Now().Unix()) {
		if f.Keep(e) {
			r.Entries = append(r.Entries, e)
		}
	}
	o := output{value: r, text: func(w io.Writer) {
		r.write(w)
		if f.Who != "" && !slices.ContainsFunc(r.Entries, func(e reach.Entry) bool { return e.Subject == f.Who || e.Role == f.Who }) {
			line(w, "no grant names %q, so this is what every caller has", f.Who)
		}
	}}
	for _, e := range r.Entries {
		o.results = append(o.results, result{rule: "reach", level: "note", msg: fmt.Sprintf("%s may %s %q, by %s", e.Who(), e.Op, e.Path, e.Via)})
	}
	return p.emit(o)
}

// write writes a table, the operations of one grant in one row.
func (r reached) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line(t, "who\tpath or name\toperations\tby")
	for i := 0; i < len(r.Entries); {
		e := r.Entries[i]
		var ops []string
		for ; i < len(r.Entries) && r.Entries[i].Via == e.Via && r.Entries[i].Path == e.Path && r.Entries[i].Who() == e.Who(); i++ {
			ops = append(ops, r.Entries[i].Op)
		}
		line(t, "%s\t%s\t%s\t%s", e.Who(), cmp.Or(e.Path, "-"), strings.Join(ops, ","), e.Via)
	}
	_ = t.Flush() // errors are kept by the writer below
	line(w, "no call outside of this can be allowed; scopes and rules of teams can deny what is in it")
}
