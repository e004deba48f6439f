package policycmd

import (
	"context"
	"io"
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
	perField  = 4  // remedies that are shown for one field, or for one pair of fields
	maxFound  = 40 // remedies that are shown
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
// notes those that would allow the call, or what was tried.
func (p Policy) remedies(ctx context.Context, prog *program.Program, q question, x *Explained) error {
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
	if x.Remedies = append(x.Remedies, s.find(ctx, list)...); len(x.Remedies) == 0 {
		x.Search = s.looked(prog, list)
	}
	return nil
}

// searched is what was tried in vain, and what was not.
type searched struct {
	Tried     []string `json:"tried"`               // fields
	Untried   []string `json:"not_tried,omitempty"` // fields that the rules read
	Unknown   []string `json:"not_known,omitempty"` // fields that the log hides
	Tries     int      `json:"tries"`
	Exhausted bool     `json:"exhausted"` // not every pair was tried
}

// looked says which fields were changed, and what was not looked at.
func (s *search) looked(prog *program.Program, list []remedy) *searched {
	out := &searched{Unknown: s.hidden, Tries: s.tries, Exhausted: s.over()}
	for _, r := range list {
		if r.field != "" {
			out.Tried = append(out.Tried, r.field)
		}
	}
	slices.Sort(out.Tried)
	out.Tried = slices.Compact(out.Tried)
	for _, f := range leavesRead(prog.TeamReads(), s.in) {
		if !slices.ContainsFunc(out.Tried, func(t string) bool { return document.Within(f, t) || document.Within(t, f) }) {
			out.Untried = append(out.Untried, f)
		}
	}
	return out
}

func (s searched) write(w io.Writer) {
	line(w, "no change of one or two things that was tried would allow it")
	line(w, "  tried: %s", strings.Join(s.Tried, ", "))
	if len(s.Untried) > 0 {
		line(w, "  not tried, although the rules read them: %s", strings.Join(s.Untried, ", "))
	}
	if len(s.Unknown) > 0 {
		line(w, "  not known, because the log hides them, and so not kept as they were: %s", strings.Join(s.Unknown, ", "))
	}
	if s.Exhausted {
		line(w, "  the search ended after %d tries; not every pair was tried", s.Tries)
	}
	line(w, "  not tried: more than two changes, and values that neither the rules nor the data spell out")
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
