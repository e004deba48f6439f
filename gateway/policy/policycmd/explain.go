package policycmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Explained is the JSON form of Explain.
type Explained struct {
	Allow     bool      `json:"allow"`
	Principal string    `json:"principal"`
	Op        string    `json:"op"`
	Path      string    `json:"path"`
	Answers   []Answer  `json:"answers"`          // what was recorded first, then what the policy says where it differs
	Hidden    []string  `json:"hidden,omitempty"` // fields that the policy reads and the record hides
	Remedies  []string  `json:"remedies"`         // changes that would allow the call
	Search    *searched `json:"search,omitempty"` // what was tried when no change would
	Trace     []string  `json:"trace,omitempty"`
}

// Answer is what a revision of a policy says of a call.
type Answer struct {
	Revision string   `json:"revision"`
	Recorded bool     `json:"recorded"`
	Allow    bool     `json:"allow"`
	Reasons  []placed `json:"reasons"`
	output   document.Output
}

// placed is a reason and where its rule stands.
type placed struct {
	document.Reason
	At string `json:"at"`
}

// Explain writes why an input, or the input of a record, is answered as it is:
// which rules speak, where they are, and the smallest changes that would allow it.
// What was recorded is said first; what this policy answers follows where it can be
// another thing.
func (p Policy) Explain(ctx context.Context, input []byte, trace bool) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	q, err := p.questionOf(input)
	if err != nil {
		return err
	}
	x := Explained{Principal: q.in.Principal.ID, Op: q.in.Action.Op, Path: q.in.Resource.Path, Remedies: []string{}}
	x.answer(ctx, prog, q)
	last := x.Answers[len(x.Answers)-1]
	if x.Allow = last.Allow; !x.Allow {
		if err := p.remedies(ctx, prog, q, &x); err != nil {
			return err
		}
	}
	if trace {
		if x.Trace, err = prog.Trace(ctx, &q.in); err != nil {
			return err
		}
	}
	return p.emit(output{value: x, results: refusals(prog, last.output), text: func(w io.Writer) { x.write(w, prog.Revision) }})
}

// answer finds what was recorded and what the policy answers.
func (x *Explained) answer(ctx context.Context, prog *program.Program, q question) {
	if q.rec == nil {
		x.add(prog, decide(ctx, prog, &q.in), prog.Revision, false)
		return
	}
	recorded := q.output()
	if x.Hidden = q.hidden(prog); q.answered(prog) {
		x.Hidden = nil
		x.add(prog, recorded, prog.Revision, false)
		return
	}
	if len(x.Hidden) > 0 {
		x.add(prog, recorded, q.rec.Revision, true)
		return
	}
	out := decide(ctx, prog, &q.in)
	if sameAnswer(out, recorded) {
		x.add(prog, recorded, prog.Revision, false)
		return
	}
	x.add(prog, recorded, q.rec.Revision, true)
	x.add(prog, out, prog.Revision, false)
}

func (x *Explained) add(prog *program.Program, out document.Output, revision string, recorded bool) {
	a := Answer{Revision: revision, Recorded: recorded, Allow: out.Allow, Reasons: []placed{}, output: out}
	for _, r := range out.Reasons {
		a.Reasons = append(a.Reasons, placed{r, placeOf(prog, r.Rule).String()})
	}
	x.Answers = append(x.Answers, a)
}

func (x Explained) write(w io.Writer, revision string) {
	for _, a := range x.Answers {
		recorded := ""
		if a.Recorded {
			recorded = ", as recorded"
		}
		line(w, "%s: %s %s %q, revision %s%s", verdictOf(a.Allow), x.Principal, x.Op, x.Path, a.Revision, recorded)
		if a.Allow {
			line(w, "  below %q, scopes %v, tier %s, delivered %s", a.output.PathPrefix, a.output.RequiredScopes, a.output.Tier, a.output.Obligations.Deliver)
		}
		for _, r := range a.Reasons {
			line(w, "  %s: %s (for %s)", r.Code, r.Msg, r.Audience)
			if r.At != (place{}).String() {
				line(w, "    rule %s at %s", r.Rule, r.At)
			}
		}
	}
	if len(x.Hidden) > 0 {
		line(w, "the record lacks or hides %s, which the policy of revision %s reads, so its own answer is not known", strings.Join(x.Hidden, ", "), revision)
	}
	if len(x.Remedies) > 0 {
		line(w, "it would be allowed with:\n  %s", strings.Join(x.Remedies, "\n  "))
	}
	if x.Search != nil {
		x.Search.write(w)
	}
	if x.Trace != nil {
		line(w, "\nwhat did not hold:\n%s", strings.Join(x.Trace, "\n"))
	}
}

// sameAnswer reports whether two answers allow the same, or deny for the same reasons.
func sameAnswer(a, b document.Output) bool {
	return a.Allow == b.Allow && slices.Equal(rulesOf(a), rulesOf(b))
}

// rulesOf are the rules that speak against a call, sorted.
func rulesOf(out document.Output) (ids []string) {
	for _, r := range out.Reasons {
		ids = append(ids, r.Rule+" "+r.Code)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// place is where a rule stands.
type place struct {
	file string
	line int
}

// String is the place as compilers write it, "?" for none.
func (p place) String() string {
	if p.file == "" {
		return "?"
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// placeOf is the place of a rule by its id.
func placeOf(prog *program.Program, id string) place {
	for _, m := range prog.Modules() {
		for _, r := range m.Rules {
			for _, a := range r.Annotations {
				if a.Custom["id"] == id {
					return place{r.Location.File, r.Location.Row}
				}
			}
		}
	}
	return place{}
}

// granting is the policy with a grant of the resource to the caller, and how that would
// be written; nil for a call that no grant is about.
func (p Policy) granting(ctx context.Context, in document.Input) (*program.Program, string, error) {
	if in.Resource.Path == "" || op.NeedsNoGrant(in.Action.Engine) {
		return nil, "", nil
	}
	core, team, err := p.load()
	if err != nil {
		return nil, "", err
	}
	grant := data.Granting(data.Grant{
		Tenant: in.Principal.Tenant, Kind: data.Subjects, Holder: in.Principal.ID, Engine: in.Action.Engine, Name: in.Resource.Path, Terms: data.Terms{},
	}).Document()
	written, err := json.Marshal(grant)
	if err != nil {
		return nil, "", err
	}
	with := &bundle.Bundle{Data: map[string]any{}}
	if team != nil {
		*with = *team
	}
	with.Data = bundle.Overlay(with.Data, grant)
	prog, err := p.program(ctx, core, with)
	return prog, "the data " + string(written), err
}
