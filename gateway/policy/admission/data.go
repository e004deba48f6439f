package admission

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Unreadable are the findings of files that cannot be read, and of rules beside them that
// cannot be parsed: one fault hides no other.
func Unreadable(faults *bundle.Faults) (found program.Findings) {
	for _, f := range faults.All {
		found = append(found, program.Finding{File: f.Name, Line: f.Line, Check: "data", Msg: f.Msg, Cure: f.Cure})
	}
	for _, f := range faults.Files {
		found = append(found, program.Syntax(f)...)
	}
	return found
}

// unread warns of files that look like rules or data and are neither.
func unread(team *bundle.Bundle) (found program.Findings) {
	found = append(found, inTests(team)...)
	for _, name := range team.Unread {
		found = append(found, program.Finding{
			File: team.Title(name), Line: 1, Check: "unread", Msg: "nothing reads this file", Warning: true,
			Cure: "rules are *.rego, data are data.yaml or data.json at the top",
		})
	}
	return found
}

// inTests refuses rules that are written for the gateway and lie in a file of tests: their
// tests hold, and nothing enforces them.
func inTests(team *bundle.Bundle) (found program.Findings) {
	for _, f := range team.Tests {
		m, err := program.ParseFile(team.Title(f.Name), f.Text, ast.RegoV1)
		if err != nil {
			continue // the tests themselves say so
		}
		for _, r := range m.Rules {
			entry := strings.EqualFold(string(r.Head.Name), "deny") || strings.EqualFold(string(r.Head.Name), "obligation")
			if entry && r.Head.RuleKind() == ast.MultiValue && isPoint(m.Package.Path) {
				found = append(found, program.Finding{
					File: team.Title(f.Name), Line: r.Location.Row, Check: "unread", Msg: "the rule " + string(r.Head.Name) + " lies in a file of tests, so nothing enforces it",
					Cure: "move it into a file whose name does not end in _test.rego, and leave the tests in this one",
				})
			}
		}
	}
	return found
}

// isPoint reports whether a package is one that the gateway reads, or is named like one.
func isPoint(p ast.Ref) bool {
	if len(p) < 4 || !p[1].Equal(ast.StringTerm("policy")) || len(p) == 4 && strings.HasSuffix(strings.Trim(p[3].String(), `"`), "_test") {
		return false
	}
	return p[2].Equal(ast.StringTerm("deny")) || p[2].Equal(ast.StringTerm("obligations"))
}

// names looks for names in the data that nothing has: a misspelt operation, tier or
// field compiles, and then grants, limits or hides nothing.
func names(p *program.Program, team *bundle.Bundle, ops []*op.Op) program.Findings {
	n := &naming{team: team, data: data.Of(team.Data), version: p.Version(), ops: map[string]string{}, ends: map[string]bool{}, mounts: map[string][]string{}, nowhere: map[string]bool{}, tiers: map[string]bool{"standard": true}}
	for _, o := range ops {
		n.ops[o.Name] = o.Engine
		n.ends[o.Name] = ends(o)
		for _, m := range o.Mounts() {
			if !slices.Contains(n.mounts[o.Engine], m.Path) {
				n.mounts[o.Engine] = append(n.mounts[o.Engine], m.Path)
			}
		}
	}
	for name := range p.Tiers {
		n.tiers[name] = true
	}
	n.bounded = maps.Collect(n.data.Obligations())
	maps.DeleteFunc(n.bounded, func(_ string, duties data.Terms) bool { return !duties.Bounds() })
	for t := range n.data.Tables() {
		n.table(t.Place(), t)
	}
	for _, name := range n.data.TierNames() {
		n.tier(name, p.Tiers[name])
		for _, o := range n.data.Costs(name) {
			n.operation(o, "", place{"tiers", name, "cost"})
		}
	}
	for o, duties := range n.data.Obligations() {
		n.operation(o, "", place{"obligations"})
		n.obligation(place{"obligations", o}, n.ops[o], duties)
		n.endless(place{"obligations", o}, duties, func(name string) bool { return name == o })
	}
	n.teams(p)
	for _, f := range n.data.Masks() {
		n.mask(f)
	}
	for _, f := range n.data.Unmasked() {
		n.unmasked(f)
	}
	slices.SortFunc(n.found, func(a, b program.Finding) int { return a.Line - b.Line })
	return n.found
}

type naming struct {
	team    *bundle.Bundle
	data    data.Data
	version int               // of the input that the rules are written for
	ops     map[string]string // engine by operation
	ends    map[string]bool   // the operations whose results end after a time
	tiers   map[string]bool
	mounts  map[string][]string   // by engine, the default one first
	nowhere map[string]bool       // mounts that were warned of
	bounded map[string]data.Terms // the duties of operations that bound a time
	found   program.Findings
}

// add notes a finding where the name stands.
func (n *naming) add(name, msg, cure string) {
	n.found = append(n.found, program.Finding{
		File: n.team.Title(n.team.DataFile.Name), Line: lineOf(n.team.DataFile.Text, name), Check: "data", Msg: msg, Cure: cure,
	})
}

// lineOf is the first line with a name that is not a part of a longer one.
func lineOf(text []byte, name string) int {
	for from := 0; name != ""; {
		i := bytes.Index(text[from:], []byte(name))
		if i < 0 {
			break
		}
		i += from
		if from = i + len(name); (i == 0 || !inName(text[i-1])) && (from == len(text) || !inName(text[from])) {
			return bytes.Count(text[:i], []byte("\n")) + 1
		}
	}
	return 1
}

// inName reports whether a byte goes on with a name.
func inName(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '/' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// place is where something stands in the data, which is written out for findings alone.
type place []string

// String is the place as a dotted path.
func (p place) String() string { return strings.Join(p, ".") }

// below is a place within this one. It is good until the next one is asked for.
func (p place) below(names ...string) place { return append(p, names...) }

func (n *naming) table(at place, table data.Table) {
	for _, kind := range data.Kinds() {
		for who, holder := range table.Holders(kind) {
			switch {
			case kind == data.Subjects:
				n.subject(at, who)
			case strings.ContainsAny(who, "*?"):
				n.warn(who, fmt.Sprintf("%s.roles names %q, which is a role of that name and not every role", at, who), "name each role; what every caller is to have has no place in the data")
			}
			n.holder(at.below(kind, who), holder)
		}
	}
}

func (n *naming) holder(at place, holder data.Holder) {
	if t, ok := holder.Tier(); ok && !n.tiers[t] {
		n.add(t, fmt.Sprintf("%s has the tier %s, which is not there, so every call is denied", at, t),
			"name one of "+strings.Join(slices.Sorted(maps.Keys(n.tiers)), ", ")+", or describe it below tiers")
	}
	for engine := range holder.Engines() {
		for name, terms := range holder.Granted(engine) {
			n.granted(at, engine, name)
			n.obligation(at.below(engine, name), engine, terms)
			n.together(at.below(engine, name), engine, terms)
			n.endless(at.below(engine, name), terms, data.Grant{Engine: engine, Terms: terms}.Covers)
			ops, _ := terms.Ops()
			for _, o := range ops {
				n.operation(o, engine, at.below(engine, name, "ops"))
			}
		}
	}
}

// granted wants what is granted to be the clean path or name that calls have.
func (n *naming) granted(at place, engine, name string) {
	n.mounted(at.String()+"."+engine, engine, name)
	if program.IsPattern(name) || strings.Contains(name, "{") {
		n.pattern(at, engine, name)
		return
	}
	p, err := call.ParsePath(name)
	if err == nil && p.String() == name && !strings.ContainsAny(name, "*?") && (engine == "kv" || !strings.Contains(name, "/")) {
		return
	}
	n.add(name, fmt.Sprintf("%s.%s grants %q, which no call can have", at, engine, name),
		"name a key or a role by its name, a path without a slash at its ends; a path covers everything below it, so it needs no star")
}

// mounted looks for a name that begins with a mount which the engine has not: it is then a
// name with a colon in the default one. Each mount is warned of once.
func (n *naming) mounted(at, engine, name string) {
	mount, _, colon := strings.Cut(name, ":")
	there := n.mounts[engine]
	if !colon || strings.ContainsAny(mount, "/{") || len(there) == 0 || len(there) > 1 && slices.Contains(there, mount) || n.nowhere[engine+" "+mount] {
		return
	}
	n.nowhere[engine+" "+mount] = true
	msg, cure := fmt.Sprintf("%s has %q, and %s has no mount %s, so it is a name with a colon in %s", at, name, engine, mount, there[0]), "name one of "+strings.Join(there, ", ")+"; mounts are the gateway's, which may have others than a check without its configuration knows"
	if mount == there[0] {
		msg, cure = fmt.Sprintf("%s has %q, and %s has one mount, so it is a name with a colon", at, name, engine), "leave the mount out; a name begins with one where an engine has several"
	}
	n.warn(name, msg, cure)
}

func (n *naming) operation(name, engine string, at place) {
	has, known := n.ops[name]
	if known && (engine == "" || has == engine) {
		return
	}
	n.add(name, fmt.Sprintf("%s names %s, which is no operation here", at, name), "name operations as the catalogue does, as kv.read")
}

// mask wants what the log hides to be a field of the input.
func (n *naming) mask(field string) {
	if !document.HasField(field) {
		n.add(field, "masks names "+field+", which is no field of the input, so it hides nothing", "name a field of schema/input.json, as context.source_ip")
	}
}

// unmasked wants what the log shows to be an argument: every other field is shown
// unless it is masked.
func (n *naming) unmasked(field string) {
	if document.Within(field, "args.values") && field != "args.values" {
		return
	}
	n.add(field, "unmasked names "+field+", which is no argument, so it shows nothing", "name an argument, as args.values.ttl; other fields are recorded unless masks hides them")
}
