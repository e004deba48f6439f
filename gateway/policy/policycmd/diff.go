package policycmd

import (
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/reach"
)

// Differences are what a change of a policy does, in the JSON form of Diff.
type Differences struct {
	Widens  []reach.Change `json:"widens"`
	Narrows []reach.Change `json:"narrows"`
	Rules   Changed        `json:"rules"`
	Tests   Changed        `json:"tests"`
}

// Changed are names that were added, removed and changed.
type Changed struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

// Diff writes what the policy of p lets through and an older one does not, and the
// other way round. ErrFound means that something widens. What cannot be shown to be as
// tight as before counts as wider.
func (p Policy) Diff(ctx context.Context, old Policy) error {
	before, err := old.compile(ctx)
	if err != nil {
		return fmt.Errorf("the old policy: %w", err)
	}
	after, err := p.compile(ctx)
	if err != nil {
		return fmt.Errorf("the new policy: %w", err)
	}
	var d Differences
	d.Widens, d.Narrows = reach.Diff(before.Data, after.Data, p.Catalogue.All())
	d.rules(before, after)
	d.Tests = changedNames(testsOf(before.Team), testsOf(after.Team))
	d.fill()
	o := output{value: d, text: d.write}
	for _, c := range d.Widens {
		o.results = append(o.results, result{rule: "widens." + c.Kind, level: "error", msg: c.At + ": " + c.Msg})
	}
	for _, c := range d.Narrows {
		o.results = append(o.results, result{rule: "narrows." + c.Kind, level: "note", msg: c.At + ": " + c.Msg})
	}
	if err := p.emit(o); err != nil {
		return err
	}
	if len(d.Widens) > 0 {
		return ErrFound
	}
	return nil
}

// fill makes empty lists of those that are nil, for the JSON form.
func (d *Differences) fill() {
	for _, l := range []*[]reach.Change{&d.Widens, &d.Narrows} {
		if *l == nil {
			*l = []reach.Change{}
		}
	}
	for _, l := range []*[]string{&d.Rules.Added, &d.Rules.Removed, &d.Rules.Changed, &d.Tests.Added, &d.Tests.Removed, &d.Tests.Changed} {
		if *l == nil {
			*l = []string{}
		}
	}
}

func (d Differences) write(w io.Writer) {
	for _, c := range d.Widens {
		line(w, "widens: %s %s: %s", c.Kind, c.At, c.Msg)
	}
	for _, c := range d.Narrows {
		line(w, "narrows: %s %s: %s", c.Kind, c.At, c.Msg)
	}
	for what, c := range map[string]Changed{"rules": d.Rules, "tests": d.Tests} {
		for verb, names := range map[string][]string{"added": c.Added, "removed": c.Removed, "changed": c.Changed} {
			if len(names) > 0 {
				line(w, "%s %s: %s", what, verb, strings.Join(names, ", "))
			}
		}
	}
	line(w, "%d changes widen, %d narrow", len(d.Widens), len(d.Narrows))
}

// ruleText is a rule without its place: what it emits, and under which conditions.
type ruleText struct {
	deny bool // it refuses; otherwise it asks for a duty
	head string
	body []string // expressions, sorted
	all  string   // with its else branches
	uses map[string]bool
}

// rulesIn are the rules that emit, by id, and the text of every other, by name.
func rulesIn(p *program.Program) (emitting map[string]ruleText, helpers map[string]string) {
	emitting, helpers = map[string]ruleText{}, map[string]string{}
	for title, m := range p.TeamModules() {
		pkg := strings.TrimPrefix(m.Package.Path.String(), "data.")
		for i, r := range m.Rules {
			kind := strings.Split(pkg, ".")[1]
			name := string(r.Head.Name)
			emits := kind == "deny" && name == "deny" || kind == "obligations" && name == "obligation"
			if !emits {
				helpers[pkg+"."+name] += r.String() + "\n"
				continue
			}
			id := idOf(r)
			if id == "" {
				id = fmt.Sprintf("%s#%d", title, i)
			}
			emitting[id] = textOf(r, kind == "deny")
		}
	}
	return emitting, helpers
}

func idOf(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if id, ok := a.Custom["id"].(string); ok {
			return id
		}
	}
	return ""
}

func textOf(r *ast.Rule, deny bool) ruleText {
	t := ruleText{deny: deny, head: r.Head.String(), all: r.String(), uses: map[string]bool{}}
	for _, e := range r.Body {
		t.body = append(t.body, e.String())
	}
	slices.Sort(t.body)
	ast.WalkVars(r.Body, func(v ast.Var) bool { t.uses[string(v)] = true; return false })
	ast.WalkRefs(r.Body, func(ref ast.Ref) bool { t.uses[ref.ConstantPrefix().String()] = true; return false })
	return t
}

// rules compares the rules of teams.
func (d *Differences) rules(before, after *program.Program) {
	was, helped := rulesIn(before)
	is, helping := rulesIn(after)
	helpers := changedNames(helped, helping)
	moved := withUsers(slices.Concat(helpers.Added, helpers.Removed, helpers.Changed), helping)
	for _, id := range slices.Sorted(maps.Keys(was)) {
		now, there := is[id]
		switch {
		case !there:
			d.Rules.Removed = append(d.Rules.Removed, id)
			d.Widens = append(d.Widens, reach.Change{Kind: "rule", At: id, Msg: "the rule is gone"})
		case now.all != was[id].all:
			d.Rules.Changed = append(d.Rules.Changed, id)
			d.changed(id, was[id], now)
		case touched(now, moved):
			d.Rules.Changed = append(d.Rules.Changed, id)
			d.Widens = append(d.Widens, reach.Change{Kind: "rule", At: id, Msg: "what the rule uses was changed; it may speak less often"})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(is)) {
		if _, there := was[id]; !there {
			d.Rules.Added = append(d.Rules.Added, id)
			d.Narrows = append(d.Narrows, reach.Change{Kind: "rule", At: id, Msg: "the rule is new"})
		}
	}
}

// touched reports whether a rule uses one of the helpers, by its name or its path.
func touched(r ruleText, helpers []string) bool {
	return slices.ContainsFunc(helpers, func(h string) bool {
		name := h[strings.LastIndexByte(h, '.')+1:]
		for u := range r.uses {
			if u == name || strings.HasSuffix(u, "."+name) {
				return true
			}
		}
		return false
	})
}

// withUsers adds the helpers that use those that were changed, by their names.
func withUsers(changed []string, helpers map[string]string) []string {
	for grown := true; grown; {
		grown = false
		for _, h := range slices.Sorted(maps.Keys(helpers)) {
			uses := func(c string) bool { return strings.Contains(helpers[h], c[strings.LastIndexByte(c, '.')+1:]) }
			if !slices.Contains(changed, h) && slices.ContainsFunc(changed, uses) {
				changed, grown = append(changed, h), true
			}
		}
	}
	return changed
}

// changed says what the change of a rule does, as far as it can be seen: with fewer
// conditions it speaks more often.
func (d *Differences) changed(id string, was, is ruleText) {
	dry := func(t ruleText) bool { return strings.Contains(t.head, `"mode": "dry_run"`) }
	c := reach.Change{Kind: "rule", At: id}
	fewer := !slices.ContainsFunc(is.body, func(e string) bool { return !slices.Contains(was.body, e) })
	switch {
	case dry(is) && !dry(was):
		c.Msg = "the rule is in dry run: it refuses nothing any more"
		d.Widens = append(d.Widens, c)
	case !reflect.DeepEqual(was.body, is.body) && !fewer:
		c.Msg = "the conditions of the rule were changed; it may speak less often"
		d.Widens = append(d.Widens, c)
	case !is.deny && was.head != is.head:
		c.Msg = "the duty of the rule was changed; it may ask for less"
		d.Widens = append(d.Widens, c)
	case len(is.body) < len(was.body) || dry(was) && !dry(is):
		c.Msg = "the rule speaks more often"
		d.Narrows = append(d.Narrows, c)
	}
}

// testsOf are the texts of tests, by package and name.
func testsOf(b *bundle.Bundle) map[string]string {
	out := map[string]string{}
	if b == nil {
		return out
	}
	for _, f := range b.Tests {
		m, err := program.ParseFile(f.Name, f.Text, ast.RegoV1)
		if err != nil {
			continue // check reports it
		}
		for _, r := range m.Rules {
			if name := string(r.Head.Name); strings.HasPrefix(name, "test_") {
				out[strings.TrimPrefix(m.Package.Path.String(), "data.")+"."+name] = r.String()
			}
		}
	}
	return out
}

func changedNames(was, is map[string]string) (c Changed) {
	for _, name := range slices.Sorted(maps.Keys(was)) {
		now, there := is[name]
		switch {
		case !there:
			c.Removed = append(c.Removed, name)
		case now != was[name]:
			c.Changed = append(c.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, there := was[name]; !there {
			c.Added = append(c.Added, name)
		}
	}
	return c
}
