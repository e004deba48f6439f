package policycmd

import (
	"context"
	"encoding/json"
	"errors"
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
	Decisions     int      `json:"decisions"`        // that were replayed
	Flips         int      `json:"flips"`            // whose answer is another one
	Changed       int      `json:"changed_terms"`    // that are allowed still, on other terms
	Limited       int      `json:"limited"`          // that the tiers would have limited
	NotReplayable int      `json:"not_replayable"`   // the policy reads what the log hides or lacks
	Undecided     int      `json:"undecided"`        // recorded without an answer of the policy, as after a timeout
	Hidden        []string `json:"hidden,omitempty"` // fields that made decisions not replayable
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
	buckets, unknown, tell, seen := buckets{}, map[string]int{}, p.progress("decisions read"), 0
	rows := []replayedRow{}
	err = records(log, func(line []byte, rec policy.Record) error {
		seen++
		tell(seen, 0)
		return r.one(ctx, prog, replayed{line, rec, &rows, buckets, unknown})
	})
	r.Hidden = slices.Sorted(maps.Keys(unknown))
	if werr := p.emit(r.output(rows)); werr != nil || err != nil {
		return r, errors.Join(werr, err)
	}
	if r.Flips > 0 {
		return r, ErrFound
	}
	return r, nil
}

// replayedRow is a call whose answer flips or that its tier would have limited.
type replayedRow struct {
	ID     string `json:"id"`
	Time   string `json:"time"`
	Caller string `json:"caller"`
	Op     string `json:"op"`
	Path   string `json:"path"`
	Was    string `json:"was"`
	Would  string `json:"would_be"`
	Why    string `json:"why"`
}

func (r Replayed) output(rows []replayedRow) output {
	o := output{value: struct {
		Replayed
		Calls []replayedRow `json:"calls"`
	}{r, rows}}
	o.text = func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		line(t, "decision\ttime\tcaller\toperation\tresource\twas\twould be\twhy")
		for _, x := range rows {
			line(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", x.ID, x.Time, x.Caller, x.Op, x.Path, x.Was, x.Would, x.Why)
		}
		_ = t.Flush() // errors are kept by the writer below
		line(w, "%d decisions replayed: %d flip, %d change their terms, %d would be limited; %d not replayable, %d undecided",
			r.Decisions, r.Flips, r.Changed, r.Limited, r.NotReplayable, r.Undecided)
		if r.NotReplayable > 0 {
			line(w, "not replayable: the log hides %s; name the arguments below unmasked in the data, or take the fields out of masks, to record them from then on",
				strings.Join(r.Hidden, ", "))
		}
	}
	for _, x := range rows {
		level := "error"
		if x.Would == "limited" {
			level = "warning"
		}
		o.results = append(o.results, result{rule: "replay", level: level, msg: fmt.Sprintf("%s: %s %s %q was %s and would be %s: %s", x.ID, x.Caller, x.Op, x.Path, x.Was, x.Would, x.Why)})
	}
	return o
}

// replayed is one recorded decision and where to write what became of it.
type replayed struct {
	line    []byte
	rec     policy.Record
	rows    *[]replayedRow
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
	return decide(ctx, prog, &q.in), true
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
	*x.rows = append(*x.rows, replayedRow{
		ID: x.rec.ID, Time: x.rec.Time.UTC().Format(time.RFC3339), Caller: x.rec.Caller, Op: in.Action.Op, Path: in.Resource.Path,
		Was: was, Would: would, Why: why,
	})
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
		if codes = append(codes, r.Code); r.Rule == "gateway" {
			codes[len(codes)-1] += ": " + r.Msg // no rule says more
		}
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
