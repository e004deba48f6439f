package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"portcullis/gateway/policy"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/reach"
)

// used is what a decision log says of a policy.
type used struct {
	grants    *reach.Usage
	rules     map[string]int // calls that a rule spoke against, by its id
	decisions int
	allowed   int
}

// usage reads a decision log. It fails when a line cannot be read, or when the log
// hides who called or what: a grant that looks unused might not be.
func (p Policy) usage(prog *program.Program, log io.Reader) (*used, error) {
	u := &used{grants: reach.NewUsage(prog.Data), rules: map[string]int{}}
	err := records(log, func(line []byte, rec policy.Record) error {
		if f := blind(rec); f != "" {
			return fmt.Errorf("the log hides %s, so what was used is not known; take it out of masks", f)
		}
		q, err := questionIn(line)
		if err != nil {
			return err
		}
		u.decisions++
		for _, r := range rec.Reasons {
			u.rules[strings.TrimPrefix(r.Rule, document.OfBehalf)]++
		}
		if !rec.Allow {
			return nil
		}
		u.allowed++
		u.add(&q.in)
		if behalf := q.in.Beside(); behalf != nil {
			u.add(behalf) // it needed the grants of both
		}
		return nil
	})
	return u, err
}

// add counts the grants that a call needed of its principal's.
func (u *used) add(in *document.Input) {
	who := in.Principal
	u.grants.Add(reach.Caller{Tenant: who.Tenant, Subject: who.ID, Prefix: who.Prefix, Roles: who.Roles}, in.Action.Op, in.Resource.Path)
}

// ascribing are the fields by which a call is ascribed to grants.
func ascribing() []string {
	who := "principal.on_behalf_of."
	return []string{"principal.id", "principal.tenant", "principal.roles", who + "id", who + "tenant", who + "roles", "action.op", "resource.path"}
}

// blind is a hidden field without which a call cannot be ascribed to a grant.
func blind(rec policy.Record) string {
	for _, f := range rec.Erased {
		if slices.Contains(ascribing(), f) {
			return f
		}
	}
	return ""
}

// unused is a grant, and the operations that nobody used it for; none when it was not
// used at all.
type unused struct {
	Grant string   `json:"grant"`
	Ops   []string `json:"ops"`
}

// Covered is the JSON form of Coverage.
type Covered struct {
	Decisions int      `json:"decisions"`
	Grants    int      `json:"grants"`
	Unused    []unused `json:"unused"`
	Rules     int      `json:"rules"`
	Silent    []string `json:"silent"` // rules that refused no recorded call
}

// Coverage writes the grants that no recorded call used, with the operations of the
// others that nobody asked for, and the rules that refused nobody.
func (p Policy) Coverage(ctx context.Context, log io.Reader) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	u, err := p.usage(prog, log)
	if err != nil {
		return err
	}
	c := Covered{Decisions: u.decisions, Unused: []unused{}, Silent: []string{}}
	for _, g := range u.grants.Grants() {
		c.Grants++
		ops := u.grants.Ops(g)
		if left := p.left(g, ops); len(ops) == 0 || len(left) > 0 {
			if len(ops) == 0 {
				left = []string{}
			}
			c.Unused = append(c.Unused, unused{g.At(), left})
		}
	}
	_, rules := lint.Check(prog, p.Catalogue.All())
	emitting, _ := rulesIn(prog)
	for _, r := range rules {
		if emitting[r.ID].deny {
			c.Rules++
			if u.rules[r.ID] == 0 {
				c.Silent = append(c.Silent, r.ID)
			}
		}
	}
	return p.emit(output{value: c, text: c.write, results: c.results()})
}

// left are the operations that a grant allows and nobody used it for.
func (p Policy) left(g data.Grant, ops []string) (out []string) {
	for _, o := range p.Catalogue.All() {
		if o.Engine == g.Engine && g.Covers(o.Name) && !slices.Contains(ops, o.Name) {
			out = append(out, o.Name)
		}
	}
	return out
}

func (c Covered) write(w io.Writer) {
	for _, u := range c.Unused {
		if len(u.Ops) == 0 {
			line(w, "unused: the grant %s", u.Grant)
			continue
		}
		line(w, "unused: %s of the grant %s", strings.Join(u.Ops, ", "), u.Grant)
	}
	for _, r := range c.Silent {
		line(w, "silent: the rule %s refused no call", r)
	}
	line(w, "%d decisions; %d grants, %d rules that refuse", c.Decisions, c.Grants, c.Rules)
}

func (c Covered) results() (out []result) {
	for _, u := range c.Unused {
		out = append(out, result{rule: "unused", level: "note", msg: "nobody used the grant " + u.Grant + " " + strings.Join(u.Ops, ", ")})
	}
	for _, r := range c.Silent {
		out = append(out, result{rule: "silent", level: "note", msg: "the rule " + r + " refused no call"})
	}
	return out
}

// errNothingRecorded keeps a log that says nothing from taking every grant away.
var errNothingRecorded = errors.New("the log has no allowed call, so every grant would go; record for longer")

// Tightened is the JSON form of Tighten.
type Tightened struct {
	Decisions int              `json:"decisions"`
	Proposals []reach.Proposal `json:"proposals"`
	Out       string           `json:"out"`
}

// Tighten writes to a directory the policy with fewer grants, under which every
// recorded allowed call is still allowed: grants that nobody used are gone, and the
// others name the operations that they were used for.
func (p Policy) Tighten(ctx context.Context, log io.ReadSeeker, out string) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	u, err := p.usage(prog, log)
	if err != nil {
		return err
	}
	if u.allowed == 0 {
		return errNothingRecorded
	}
	proposals := u.grants.Proposals(p.Catalogue.All())
	if err := writeTightened(prog.Team, proposals, out); err != nil {
		return err
	}
	if err := p.holds(ctx, prog, out, log); err != nil {
		return err
	}
	t := Tightened{Decisions: u.decisions, Proposals: proposals, Out: out}
	if t.Proposals == nil {
		t.Proposals = []reach.Proposal{}
	}
	o := output{value: t, text: func(w io.Writer) {
		for _, x := range t.Proposals {
			line(w, "%s", x)
		}
		line(w, "%d decisions; %d changes; written to %s", t.Decisions, len(t.Proposals), t.Out)
	}}
	for _, x := range t.Proposals {
		o.results = append(o.results, result{rule: "tighten", level: "note", msg: x.String()})
	}
	return p.emit(o)
}

// holds makes sure of the result: no call that this policy allows, and that was
// allowed, is denied by the new one.
func (p Policy) holds(ctx context.Context, old *program.Program, dir string, log io.ReadSeeker) error {
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tight := p
	tight.Dir = dir
	prog, err := tight.compile(ctx)
	if err != nil {
		return fmt.Errorf("the tightened policy: %w", err)
	}
	lost := map[string]bool{}
	err = records(log, func(line []byte, rec policy.Record) error {
		q, err := questionIn(line)
		if err != nil || !rec.Allow {
			return err
		}
		before, berr := old.Decide(ctx, &q.in, evalTimeout)
		after, aerr := prog.Decide(ctx, &q.in, evalTimeout)
		if berr == nil && before.Allow && (aerr != nil || !after.Allow) {
			lost[rec.ID] = true
		}
		return nil
	})
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("the tightened policy would deny %s; nothing should use %s", strings.Join(slices.Sorted(maps.Keys(lost)), ", "), dir)
	}
	return err
}
