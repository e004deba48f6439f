package policycmd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Explain writes why an input, or the input of a record, is answered as it is:
// which rules speak, where they are, and the smallest changes that would allow it.
// What was recorded is said first; what this policy answers follows where it can be
// another thing.
func (p Policy) Explain(ctx context.Context, input []byte, trace bool) error {
	q, err := p.questionOf(input)
	if err != nil {
		return err
	}
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	out, err := p.explained(ctx, prog, q)
	if err != nil {
		return err
	}
	if !out.Allow {
		if err := p.remedies(ctx, prog, q); err != nil {
			return err
		}
	}
	if !trace {
		return nil
	}
	steps, err := prog.Trace(ctx, &q.in)
	fmt.Fprintln(p.Out, strings.Join(append([]string{"\nwhat did not hold:"}, steps...), "\n"))
	return err
}

// explained writes the verdict of a question, and returns the answer that it is about.
func (p Policy) explained(ctx context.Context, prog *program.Program, q question) (document.Output, error) {
	out, err := prog.Decide(ctx, &q.in, evalTimeout)
	if q.rec == nil && err != nil {
		return out, err
	}
	if q.rec == nil {
		p.verdict(prog, q.in, out, prog.Revision)
		return out, nil
	}
	recorded := q.output()
	hidden := q.hidden(prog)
	same := q.answered(prog) || err == nil && len(hidden) == 0 && sameAnswer(out, recorded)
	if same {
		p.verdict(prog, q.in, recorded, prog.Revision)
	} else {
		p.verdict(prog, q.in, recorded, q.rec.Revision+", as recorded")
	}
	switch {
	case same:
		return recorded, nil
	case len(hidden) > 0:
		fmt.Fprintf(p.Out, "the record lacks or hides %s, which the policy of revision %s reads, so its own answer is not known\n", strings.Join(hidden, ", "), prog.Revision)
		return recorded, nil
	case err != nil:
		return out, err
	}
	p.verdict(prog, q.in, out, prog.Revision)
	return out, nil
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

func (p Policy) verdict(prog *program.Program, in document.Input, out document.Output, revision string) {
	fmt.Fprintf(p.Out, "%s: %s %s %q, revision %s\n", verdictOf(out.Allow), in.Principal.ID, in.Action.Op, in.Resource.Path, revision)
	if out.Allow {
		fmt.Fprintf(p.Out, "  below %q, scopes %v, tier %s, delivered %s\n",
			out.PathPrefix, out.RequiredScopes, out.Tier, out.Obligations.Deliver)
	}
	for _, r := range out.Reasons {
		fmt.Fprintf(p.Out, "  %s: %s (for %s)\n", r.Code, r.Msg, r.Audience)
		fmt.Fprintf(p.Out, "    rule %s at %s\n", r.Rule, ruleAt(prog, r.Rule))
	}
}

// ruleAt is the place of a rule by its id.
func ruleAt(prog *program.Program, id string) string {
	for _, m := range prog.Modules() {
		for _, r := range m.Rules {
			for _, a := range r.Annotations {
				if a.Custom["id"] == id {
					return fmt.Sprintf("%s:%d", r.Location.File, r.Location.Row)
				}
			}
		}
	}
	return "?"
}

// granting is the policy with a grant of the resource to the caller, and how that would
// be written; nil for a call that no grant is about.
func (p Policy) granting(ctx context.Context, in document.Input) (*program.Program, string, error) {
	if in.Resource.Path == "" || !slices.Contains([]string{"kv", "transit", "db", "ssh"}, in.Action.Engine) {
		return nil, "", nil
	}
	core, team, err := p.load()
	if err != nil {
		return nil, "", err
	}
	table := map[string]any{"subjects": map[string]any{in.Principal.ID: map[string]any{in.Action.Engine: map[string]any{in.Resource.Path: map[string]any{}}}}}
	data := map[string]any{"grants": table}
	if in.Principal.Tenant != "" {
		data = map[string]any{"tenants": map[string]any{in.Principal.Tenant: table}}
	}
	written, err := json.Marshal(data)
	if err != nil {
		return nil, "", err
	}
	with := &bundle.Bundle{Data: map[string]any{}}
	if team != nil {
		*with = *team
	}
	with.Data = bundle.Overlay(with.Data, data)
	prog, err := program.Compile(ctx, core, with)
	return prog, "the data " + string(written), err
}
