package policycmd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Explain writes why an input, or the input of a record, is answered as it is:
// which rules speak, where they are, and the smallest changes that would allow it.
func (p Policy) Explain(ctx context.Context, input []byte, trace bool) error {
	in, err := p.question(input)
	if err != nil {
		return err
	}
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	out, err := prog.Decide(ctx, &in, evalTimeout)
	if err != nil {
		return err
	}
	var rec policy.Record
	if json.Unmarshal(input, &rec) == nil && rec.Input != nil && hidden(prog, rec) {
		fmt.Fprintln(p.Out, "the record lacks or hides a field that the policy reads, so the answer can be another than it was")
	}
	p.verdict(prog, in, out)
	if !out.Allow {
		if err := p.remedies(ctx, prog, in); err != nil {
			return err
		}
	}
	if !trace {
		return nil
	}
	steps, err := prog.Trace(ctx, &in)
	fmt.Fprintln(p.Out, strings.Join(append([]string{"\nwhat did not hold:"}, steps...), "\n"))
	return err
}

func (p Policy) verdict(prog *program.Program, in document.Input, out document.Output) {
	word := "denied"
	if out.Allow {
		word = "allowed"
	}
	fmt.Fprintf(p.Out, "%s: %s %s %q, revision %s\n", word, in.Principal.ID, in.Action.Op, in.Resource.Path, prog.Revision)
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

// remedy is a change of one thing, of the call or of the data.
type remedy struct {
	name  string
	apply func(*document.Input) // nil for a grant in the data
}

// remedies tries every change of one thing, then of two, and writes those that
// would allow the call.
func (p Policy) remedies(ctx context.Context, prog *program.Program, in document.Input) error {
	list := remediesOf(prog, in)
	granting, grant, err := p.granting(ctx, in)
	if err != nil {
		return err
	}
	if granting != nil {
		list = append(list, remedy{name: grant})
	}
	allowed := func(changes ...remedy) bool {
		changed, asked := in, prog
		for _, c := range changes {
			if c.apply == nil {
				asked = granting
			} else {
				c.apply(&changed)
			}
		}
		out, err := asked.Decide(ctx, &changed, evalTimeout)
		return err == nil && out.Allow
	}
	var found []string
	for _, r := range list {
		if allowed(r) {
			found = append(found, r.name)
		}
	}
	if found == nil {
		for i, a := range list {
			for _, b := range list[i+1:] {
				if allowed(a, b) {
					found = append(found, a.name+", and "+b.name)
				}
			}
		}
	}
	if found == nil {
		fmt.Fprintln(p.Out, "no change of one or two things would allow it")
		return nil
	}
	fmt.Fprintln(p.Out, "it would be allowed with:")
	for _, f := range found {
		fmt.Fprintln(p.Out, "  "+f)
	}
	return nil
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

// remediesOf are scopes, roles that have grants, the caller's own part of the
// mount, names that are granted, kinds, hours and days.
func remediesOf(prog *program.Program, in document.Input) []remedy {
	var out []remedy
	for _, s := range []string{"read", "list", "write", "delete"} {
		if !slices.Contains(in.Principal.Scopes, s) {
			out = append(out, remedy{"the scope " + s, func(i *document.Input) {
				i.Principal.Scopes = append(slices.Clone(i.Principal.Scopes), s)
			}})
		}
	}
	for _, role := range roles(prog, in.Principal.Tenant) {
		if !slices.Contains(in.Principal.Roles, role) {
			out = append(out, remedy{"the role " + role, func(i *document.Input) {
				i.Principal.Roles = append(slices.Clone(i.Principal.Roles), role)
			}})
		}
	}
	out = append(out, resources(prog, in)...)
	for _, kind := range []string{"human", "agent", "service"} {
		if in.Principal.Kind != kind {
			out = append(out, remedy{"a caller of the kind " + kind, func(i *document.Input) { i.Principal.Kind = kind }})
		}
	}
	return append(out, times(prog, in)...)
}

func roles(prog *program.Program, tenant string) []string {
	tenants, _ := prog.Data["tenants"].(map[string]any)
	table, _ := tenants[tenant].(map[string]any)
	list, _ := table["roles"].(map[string]any)
	return slices.Sorted(maps.Keys(list))
}

func resources(prog *program.Program, in document.Input) []remedy {
	var names []string
	if in.Action.Engine == "kv" && in.Principal.Prefix != "" {
		last := in.Resource.Path[strings.LastIndexByte(in.Resource.Path, '/')+1:]
		names = append(names, strings.Trim(in.Principal.Prefix+"/"+last, "/"))
	}
	c := &call.Caller{Subject: in.Principal.ID, Tenant: in.Principal.Tenant, Roles: in.Principal.Roles}
	names = append(names, prog.Granted(c, in.Action.Engine)...)
	var out []remedy
	for _, n := range names {
		path, err := call.ParsePath(n)
		if err != nil || n == in.Resource.Path {
			continue
		}
		out = append(out, remedy{fmt.Sprintf("the resource %q", n), func(i *document.Input) {
			i.Resource.Path, i.Resource.Ancestors = n, path.Ancestors()
		}})
	}
	return out
}

// times are tried only for a policy that reads them.
func times(prog *program.Program, in document.Input) []remedy {
	var out []remedy
	if prog.Reads().Any("context.time.hour_utc") {
		for h := range 24 {
			if h != in.Context.Time.HourUTC {
				out = append(out, remedy{fmt.Sprintf("the hour %d UTC", h), func(i *document.Input) { i.Context.Time.HourUTC = h }})
			}
		}
	}
	if prog.Reads().Any("context.time.weekday") {
		for _, d := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
			if d != in.Context.Time.Weekday {
				out = append(out, remedy{"the day " + d, func(i *document.Input) { i.Context.Time.Weekday = d }})
			}
		}
	}
	return out
}
