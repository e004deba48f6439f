package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Case is something to measure, and the name of the case that it is held against.
type Case struct {
	Name, Base string
	Do         func(context.Context) error
}

// Result is what one costs in processor time, of all threads together.
type Result struct {
	Name, Base  string
	Min, Median time.Duration
}

// Options say how long to measure.
type Options struct {
	Rounds int           // 15
	Round  time.Duration // of one case in one round, 20 ms
}

// Run measures the cases in turns. An error of a case ends it.
func Run(ctx context.Context, o Options, cases ...Case) ([]Result, error) {
	if o.Rounds == 0 {
		o.Rounds = 15
	}
	if o.Round == 0 {
		o.Round = 20 * time.Millisecond
	}
	times := make([][]time.Duration, len(cases))
	for range o.Rounds {
		for i, c := range cases {
			d, err := measure(ctx, c, o.Round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			times[i] = append(times[i], d)
		}
	}
	var out []Result
	for i, c := range cases {
		slices.Sort(times[i])
		out = append(out, Result{c.Name, c.Base, times[i][0], times[i][len(times[i])/2]})
	}
	return out, nil
}

// measure repeats a case for a while and returns the time of one.
func measure(ctx context.Context, c Case, d time.Duration) (time.Duration, error) {
	const batch = 16
	begin, start := cpu(), time.Now()
	n := 0
	for n == 0 || time.Since(start) < d {
		for range batch {
			if err := c.Do(ctx); err != nil {
				return 0, err
			}
		}
		n += batch
	}
	return (cpu() - begin) / time.Duration(n), nil
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Print writes a table, each case with the ratio of its least time to that of its
// base.
func Print(w io.Writer, results []Result) error {
	least := map[string]time.Duration{}
	for _, r := range results {
		least[r.Name] = r.Min
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\tleast us\tmedian us\tratio\tto")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.3f\t%s\n", r.Name, micro(r.Min), micro(r.Median),
			float64(r.Min)/float64(max(least[r.Base], 1)), r.Base)
	}
	return t.Flush()
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
