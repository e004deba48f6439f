package wasmcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
)

// Query is what Plan is asked: a call, and the obligations of its decision as the
// JSON list that the policy would give.
type Query struct {
	Manifest           string
	Op, Mount, Subject string
	Obligations        string
}

// Plan prints the total order of a manifest, and what would be applied to the
// result of a call.
func Plan(ctx context.Context, w io.Writer, q Query) error {
	set, err := transform.Open(ctx, q.Manifest, transform.Options{})
	if err != nil {
		return oneLine(err)
	}
	defer set.Close()
	g := set.Pin()
	defer g.Release()
	table(w, g.Modules())
	var named []transform.Obligation
	if q.Obligations != "" {
		if err := json.Unmarshal([]byte(q.Obligations), &named); err != nil {
			return fmt.Errorf("obligations: %w", err)
		}
	}
	p, err := g.Plan(transform.Call{Hook: guest.Response, Op: q.Op, Mount: q.Mount, Subject: q.Subject}, named)
	if err != nil {
		return fmt.Errorf("the call would be denied: %w", err)
	}
	fmt.Fprintf(w, "\nplan for %s:\n", q.Op)
	for i, s := range p.Steps() {
		fmt.Fprintf(w, "%d  %s@%s %s\n", i+1, s.Name, s.Digest, s.Args)
	}
	return nil
}

func table(w io.Writer, modules []transform.ModuleStatus) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tDIGEST\tHOOKS\tPHASE\tPRIORITY\tAPPLIES")
	for _, m := range modules {
		applies := "policy"
		if m.Mandatory {
			applies = "mandatory"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", m.Name, m.Digest, strings.Join(m.Hooks, ","), m.Phase, m.Priority, applies)
	}
	_ = t.Flush() // of what people look at
}
