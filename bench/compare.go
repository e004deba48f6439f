package main

import (
	"fmt"
	"io"
	"math"
	"sort"
	"text/tabwriter"
)

// compareFiles says for every target that two results have in common what has changed,
// and what is noise: turns of one result differ from each other as much.
func compareFiles(out io.Writer, before, after string) error {
	old, err := open(before)
	if err != nil {
		return err
	}
	now, err := open(after)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "scenario\ttarget\tmeasure\told\tnew\tchange\t")
	for _, r := range now {
		for _, o := range old {
			if o.Scenario == r.Scenario {
				compare(w, o, r)
			}
		}
	}
	return w.Flush()
}

func compare(w io.Writer, old, now *result) {
	for _, a := range old.Targets {
		for _, b := range now.Targets {
			if a.Target != b.Target {
				continue
			}
			for _, m := range measures {
				if x, y := a.median(m.of), b.median(m.of); x > 0 && y > 0 {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%.0f\t%s\t\n", now.Scenario, a.Target, m.name, x, y, verdict(a.values(m.of), b.values(m.of), y/x-1, m.better))
				}
			}
		}
	}
}

// significance is the probability up to which a difference is not taken for chance.
const significance = 0.05

// verdict says what a change by a share is.
func verdict(old, now []float64, change float64, better int) string {
	p := rankSum(old, now)
	switch {
	case p > significance:
		return fmt.Sprintf("%+.1f %%, noise (p=%.2f)", 100*change, p)
	case (change > 0) == (better > 0):
		return fmt.Sprintf("%+.1f %%, better (p=%.3f)", 100*change, p)
	}
	return fmt.Sprintf("%+.1f %%, worse (p=%.3f)", 100*change, p)
}

// rankSum is the two-sided probability of the Mann-Whitney U test, in its normal
// approximation with a correction for continuity, that two samples come from the same
// distribution. With fewer than four values each nothing is significant.
func rankSum(a, b []float64) float64 {
	if len(a) < 4 || len(b) < 4 {
		return 1
	}
	type value struct {
		x     float64
		first bool
	}
	var all []value
	for _, x := range a {
		all = append(all, value{x, true})
	}
	for _, x := range b {
		all = append(all, value{x, false})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].x < all[j].x })
	sum := 0.0 // of the ranks of a; equal values share theirs
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].x == all[i].x {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].first {
				sum += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u := sum - n*(n+1)/2
	z := (math.Abs(u-n*m/2) - 0.5) / math.Sqrt(n*m*(n+m+1)/12)
	return math.Min(1, math.Erfc(math.Max(0, z)/math.Sqrt2))
}
