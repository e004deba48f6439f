package policycmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"portcullis/gateway/policy/bench"
	"portcullis/gateway/policy/lint"
)

// Inspect writes what a policy is made of: what it reads, whether its decisions
// can be kept, its rules and its tiers.
func (p Policy) Inspect(ctx context.Context) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "revision   %s\n", prog.Revision)
	fmt.Fprintf(p.Out, "reads      %s\n", strings.Join(prog.Reads().Paths(), "\n           "))
	cacheable, because := prog.Cacheable()
	if cacheable {
		because = "until a grant or the credential ends"
	}
	fmt.Fprintf(p.Out, "cacheable  %v, %s\n", cacheable, because)
	found, rules := lint.Check(prog, p.Catalogue.All())
	for _, r := range rules {
		fmt.Fprintf(p.Out, "rule       %s at %s:%d\n", r.ID, r.File, r.Line)
	}
	for _, f := range found {
		fmt.Fprintf(p.Out, "finding    %s:%d %s\n", f.File, f.Line, f.Check)
	}
	t := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(prog.Tiers)) {
		tier := prog.Tiers[name]
		fmt.Fprintf(t, "tier\t%s\t%d in %v\tburst %d\t%d costs\n", name, tier.Requests, tier.Window, tier.Burst, len(tier.Costs))
	}
	return t.Flush()
}

// Bench measures decisions, and writes each case with its ratio to the naive way.
// Scratch is a directory for the data of the cases.
func (p Policy) Bench(ctx context.Context, scratch string, rounds int, round time.Duration) error {
	cases, err := bench.Decisions(scratch, p.Catalogue)
	if err != nil {
		return err
	}
	results, err := bench.Run(ctx, bench.Options{Rounds: rounds, Round: round}, cases...)
	if err != nil {
		return err
	}
	return bench.Print(p.Out, results)
}
