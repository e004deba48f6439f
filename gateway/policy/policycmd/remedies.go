package policycmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Bounds of a search for remedies: a person waits for it.
const (
	maxTries  = 20_000
	maxSearch = 10 * time.Second
	perField  = 4  // remedies that are told of one field, or of one pair of fields
	maxFound  = 40 // remedies that are told
)

// remedy is a change of one thing, of the call or of the data.
type remedy struct {
	name     string
	field    string                // of the input; empty for a grant in the data
	apply    func(*document.Input) // nil for a grant in the data
	whatever bool                  // stands for every other value of the field
}

// search tries changes of a denied call.
type search struct {
	prog     *program.Program
	granting *program.Program // with a grant of the resource; nil for none
	in       document.Input
	hidden   []string // fields that the record hides: their values are not known
	tries    int
	until    time.Time
}

// remedies tries every change of one field that the rules read, then of two, and
// writes those that would allow the call, or what was tried.
func (p Policy) remedies(ctx context.Context, prog *program.Program, q question) error {
	s := &search{prog: prog, in: q.in, hidden: q.hidden(prog), until: time.Now().Add(maxSearch)}
	list := p.remediesOf(prog, q.in)
	granting, grant, err := p.granting(ctx, q.in)
	if err != nil {
		return err
	}
	if granting != nil {
		s.granting = granting
		list = append(list, remedy{name: grant})
	}
	found := s.find(ctx, list)
	if len(found) > 0 {
		fmt.Fprintln(p.Out, "it would be allowed with:")
		for _, f := range found {
			fmt.Fprintln(p.Out, "  "+f)
		}
		return nil
	}
	fmt.Fprintln(p.Out, "no change of one or two things that was tried would allow it")
	p.looked(prog, list, s)
	return nil
}

// looked writes which fields were changed, and what was not looked at.
func (p Policy) looked(prog *program.Program, list []remedy, s *search) {
	tried := map[string]bool{}
	for _, r := range list {
		if r.field != "" {
			tried[r.field] = true
		}
	}
	fmt.Fprintln(p.Out, "  tried: "+strings.Join(slices.Sorted(maps.Keys(tried)), ", "))
	var not []string
	for _, f := range leavesRead(prog.TeamReads(), s.in) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(tried)), func(t string) bool { return document.Within(f, t) || document.Within(t, f) }) {
			not = append(not, f)
		}
	}
	if len(not) > 0 {
		fmt.Fprintln(p.Out, "  not tried, although the rules read them: "+strings.Join(not, ", "))
	}
	if len(s.hidden) > 0 {
		fmt.Fprintln(p.Out, "  not known, because the log hides them, and so not kept as they were: "+strings.Join(s.hidden, ", "))
	}
	if s.over() {
		fmt.Fprintf(p.Out, "  the search ended after %d tries; not every pair was tried\n", s.tries)
	}
	fmt.Fprintln(p.Out, "  not tried: more than two changes, and values that neither the rules nor the data spell out")
}

func (s *search) over() bool { return s.tries >= maxTries || time.Now().After(s.until) }

// try reports whether the call would be allowed with some changes, and who speaks
// against it otherwise.
func (s *search) try(ctx context.Context, changes ...remedy) (allowed bool, against []string) {
	in, asked := s.in, s.prog
	for _, c := range changes {
		if c.apply == nil {
			asked = s.granting
		} else {
			c.apply(&in)
		}
	}
	s.tries++
	out, err := asked.Decide(ctx, &in, evalTimeout)
	if err != nil {
		return false, []string{err.Error()}
	}
	for _, h := range s.hidden {
		if !slices.ContainsFunc(changes, func(c remedy) bool { return c.field != "" && document.Within(h, c.field) }) {
			return false, rulesOf(out) // what the hidden field does is not known
		}
	}
	return out.Allow, rulesOf(out)
}

// find returns the names of the changes that would allow the call: of one thing, or of
// two when no single one does. Changes that silence a rule are paired first.
func (s *search) find(ctx context.Context, list []remedy) []string {
	var found []string
	_, before := s.try(ctx)
	told := map[string]int{}
	var speaking, other []remedy
	for _, r := range list {
		ok, against := s.try(ctx, r)
		switch {
		case ok && told[r.field] < perField:
			told[r.field]++
			if r.whatever {
				told[r.field] = perField
			}
			found = append(found, r.name)
		case slices.Equal(against, before):
			other = append(other, r)
		case !ok:
			speaking = append(speaking, r)
		}
	}
	if found != nil {
		return found
	}
	all := append(speaking, other...)
	for i, a := range all {
		for _, b := range all[i+1:] {
			pair := a.field + " " + b.field
			if a.field == b.field || told[pair] >= perField || len(found) >= maxFound {
				continue
			}
			if s.over() {
				return found
			}
			if ok, _ := s.try(ctx, a, b); ok {
				told[pair]++
				found = append(found, a.name+", and "+b.name)
			}
		}
	}
	return found
}
