package policycmd

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"portcullis/gateway/policy/bench"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// Inspect writes what a policy is made of: what it reads, whether its decisions
// can be kept, its rules and its tiers.
func (p Policy) Inspect(ctx context.Context) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	i := inspected{Revision: prog.Revision, Reads: prog.Reads().Paths()}
	i.Cacheable, i.Because = prog.Cacheable()
	if i.Cacheable {
		i.Because = "until a grant or the credential ends"
	}
	i.Findings, i.Rules = lint.Check(prog, p.Catalogue.All())
	i.Lists = lint.Lists(prog)
	for _, name := range slices.Sorted(maps.Keys(prog.Tiers)) {
		t := prog.Tiers[name]
		i.Tiers = append(i.Tiers, inspectedTier{name, t.Requests, t.Window.Seconds(), t.Burst, len(t.Costs)})
	}
	return p.emit(output{value: i, text: i.write, results: findings(i.Findings)})
}

// inspected is the JSON form of Inspect.
type inspected struct {
	Revision  string           `json:"revision"`
	Reads     []string         `json:"reads"`
	Cacheable bool             `json:"cacheable"`
	Because   string           `json:"because"`
	Rules     []lint.Rule      `json:"rules"`
	Lists     map[string]int   `json:"lists"` // in the data that rules run through, with how many elements
	Findings  program.Findings `json:"findings"`
	Tiers     []inspectedTier  `json:"tiers"`
}

type inspectedTier struct {
	Name     string  `json:"name"`
	Requests int     `json:"requests"`
	WindowS  float64 `json:"window_s"`
	Burst    int     `json:"burst"`
	Costs    int     `json:"costs"` // operations that cost more than one request
}

func (i inspected) write(w io.Writer) {
	line(w, "revision   %s", i.Revision)
	line(w, "reads      %s", strings.Join(i.Reads, "\n           "))
	line(w, "cacheable  %v, %s", i.Cacheable, i.Because)
	for _, r := range i.Rules {
		line(w, "rule       %s at %s:%d", r.ID, r.File, r.Line)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Lists)) {
		line(w, "list       %s: rules run through %d elements, of at most %d", name, i.Lists[name], lint.MaxElements)
	}
	for _, f := range i.Findings {
		line(w, "finding    %s:%d %s", f.File, f.Line, f.Check)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, tier := range i.Tiers {
		line(t, "tier\t%s\t%d in %v\tburst %d\t%d costs", tier.Name, tier.Requests, time.Duration(tier.WindowS*float64(time.Second)), tier.Burst, tier.Costs)
	}
	_ = t.Flush() // errors are kept by the writer below
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
	if p.Format != Text {
		return p.emit(output{value: map[string]any{"cases": results}})
	}
	return bench.Print(p.Out, results)
}
