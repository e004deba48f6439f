package policycmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Replayed counts what became of recorded decisions.
type Replayed struct {
	Decisions     int // that were replayed
	Flips         int // whose answer is another one
	Changed       int // that are allowed still, on other terms
	Limited       int // that the tiers would have limited
	NotReplayable int // the policy reads what the log hides or lacks
	Undecided     int // recorded without an answer of the policy, as after a timeout
}

// Replay decides recorded decisions once more, with this policy, and writes a
// table of the calls whose answer flips, and of those that its tiers would have
// limited though they were not so recorded. ErrFound means that some flip.
func (p Policy) Replay(ctx context.Context, log io.Reader) (Replayed, error) {
	var r Replayed
	prog, err := p.compile(ctx)
	if err != nil {
		return r, err
	}
	t := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "decision\ttime\tcaller\toperation\tresource\twas\twould be\twhy")
	buckets, unknown, tell, seen := buckets{}, map[string]int{}, p.progress("decisions read"), 0
	err = records(log, func(line []byte, rec policy.Record) error {
		seen++
		tell(seen, 0)
		return r.one(ctx, prog, replayed{line, rec, t, buckets, unknown})
	})
	if err := t.Flush(); err != nil {
		return r, err
	}
	fmt.Fprintf(p.Out, "%d decisions replayed: %d flip, %d change their terms, %d would be limited; %d not replayable, %d undecided\n",
		r.Decisions, r.Flips, r.Changed, r.Limited, r.NotReplayable, r.Undecided)
	if r.NotReplayable > 0 {
		fmt.Fprintf(p.Out, "not replayable: the log hides %s; name the arguments below unmasked in the data, or take the fields out of masks, to record them from then on\n",
			strings.Join(slices.Sorted(maps.Keys(unknown)), ", "))
	}
	if err != nil {
		return r, err
	}
	if r.Flips > 0 {
		return r, ErrFound
	}
	return r, nil
}

// replayed is one recorded decision and where to write what became of it.
type replayed struct {
	line    []byte
	rec     policy.Record
	table   io.Writer
	buckets buckets
	unknown map[string]int // calls by a field that the policy reads and the log hides
}

func (r *Replayed) one(ctx context.Context, prog *program.Program, x replayed) error {
	if x.rec.Code == string(call.PolicyError) || x.rec.Code == string(call.PolicyTimeout) {
		r.Undecided++
		return nil
	}
	q, err := questionIn(x.line)
	if err != nil {
		return err
	}
	out, known := x.answer(ctx, prog, q)
	if !known {
		r.NotReplayable++
		return nil
	}
	r.Decisions++
	switch {
	case out.Allow != x.rec.Allow:
		r.Flips++
		x.row(q.in, verdictOf(x.rec.Allow), verdictOf(out.Allow), why(x.rec, out))
	case out.Allow && (out.PathPrefix != x.rec.PathPrefix || out.Tier != x.rec.Tier || otherTerms(out.Obligations, x.rec.Obligations)):
		r.Changed++
	}
	if tier, ok := prog.Tiers[out.Tier]; ok && x.buckets.limited(x.rec, tier, q.in.Action.Op) {
		r.Limited++
		x.row(q.in, verdictOf(x.rec.Allow), "limited", "tier "+tier.Name)
	}
	return nil
}

// answer is what the policy says of a recorded call, unless it reads what the log
// hides and has not answered the call itself.
func (x replayed) answer(ctx context.Context, prog *program.Program, q question) (document.Output, bool) {
	if fields := q.hidden(prog); len(fields) > 0 {
		for _, f := range fields {
			x.unknown[f]++
		}
		return q.output(), q.answered(prog)
	}
	out, err := prog.Decide(ctx, &q.in, evalTimeout)
	if err != nil {
		out = document.Output{Reasons: []document.Reason{{Code: err.Error()}}}
	}
	return out, true
}

// otherTerms reports whether an answer asks for something else than what was
// recorded. The record may be tighter than the policy was, by the request or by a cap
// of the gateway's, so of bounds and deliveries only a tighter one is known to differ.
func otherTerms(now, then document.Obligations) bool {
	rank := func(d string) int { return slices.Index([]string{"plain", "masked", "wrapped"}, d) }
	tighter := func(a, b int) bool { return a > 0 && (b == 0 || a < b) }
	a, aerr := json.Marshal(now.Transforms)
	b, berr := json.Marshal(then.Transforms)
	return aerr != nil || berr != nil || string(a) != string(b) ||
		rank(now.Deliver) > rank(then.Deliver) || tighter(now.MaxTTLS, then.MaxTTLS) ||
		then.Deliver == "wrapped" && tighter(now.WrapTTLS, then.WrapTTLS)
}

func (x replayed) row(in document.Input, was, would, why string) {
	fmt.Fprintf(x.table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.rec.ID, x.rec.Time.UTC().Format(time.RFC3339),
		x.rec.Caller, in.Action.Op, in.Resource.Path, was, would, why)
}

func verdictOf(allow bool) string {
	if allow {
		return "allowed"
	}
	return "denied"
}

func why(rec policy.Record, out document.Output) string {
	var codes []string
	for _, r := range out.Reasons {
		codes = append(codes, r.Code)
	}
	if out.Allow {
		for _, r := range rec.Reasons {
			codes = append(codes, "no more "+r.Code)
		}
	}
	return strings.Join(codes, ", ")
}

// buckets are the callers' buckets at the recorded times: when each is full again.
type buckets map[string]time.Time

// limited charges a recorded call to the bucket of its tier.
func (b buckets) limited(rec policy.Record, t op.Tier, operation string) bool {
	if t.Requests <= 0 {
		return true
	}
	interval := t.Window / time.Duration(t.Requests)
	key := fmt.Sprintf("%q %q", rec.Caller, t.Name)
	full := b[key]
	if full.Before(rec.Time) {
		full = rec.Time
	}
	full = full.Add(time.Duration(t.Cost(operation)) * interval)
	if full.Sub(rec.Time) > time.Duration(t.Burst)*interval {
		return true
	}
	b[key] = full
	return false
}
