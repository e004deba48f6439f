package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// extensionPoints are the packages that a team may have, by their second part, with
// the rule that the gateway reads in each.
func extensionPoints() map[string]string {
	return map[string]string{"deny": "deny", "obligations": "obligation", "lib": ""}
}

// shape wants a module to have the rule of its extension point. What has another
// shape compiles, is read by nobody, and so allows.
func (l *linter) shape(m *ast.Module, all map[*ast.Rule]*names) {
	point, _ := m.Package.Path[2].Value.(ast.String) // program.Compile has seen to it
	if rule := extensionPoints()[string(point)]; rule != "" {
		l.entry(m, rule, all)
		return
	}
	for _, r := range m.Rules {
		name := strings.ToLower(string(r.Head.Name))
		if (name == "deny" || name == "obligation") && r.Head.RuleKind() == ast.MultiValue && l.unused(r) {
			l.add(r.Location, "shape", "nothing enforces "+string(r.Head.Name)+" of a package of helpers", "move it to package policy.deny.<team> or policy.obligations.<team>")
		}
	}
}

// entry wants the rule that the gateway reads to be there, to be a set, and every
// other rule to be read by something.
func (l *linter) entry(m *ast.Module, name string, all map[*ast.Rule]*names) {
	misspelt := false
	for _, r := range m.Rules {
		switch {
		case string(r.Head.Name) != name:
			misspelt = l.helper(r, name) || misspelt
		case r.Head.RuleKind() != ast.MultiValue || len(r.Head.Args) > 0 || len(r.Head.Ref()) != 1:
			l.add(r.Location, "shape", name+" is not a set, so nothing reads it", "write `"+name+" contains {…} if {…}`")
		default:
			l.emits(r, name, all[r])
			l.exempt(m, r)
			l.heard(m, r)
			l.skipped(m, r)
		}
	}
	// Another file of the package may have it.
	there := l.compiler.GetRulesExact(m.Package.Path.Append(ast.StringTerm(name)))
	if len(there) == 0 && !misspelt {
		l.add(m.Package.Location, "shape", "package "+m.Package.Path.String()+" has no rule "+name+", so it does nothing",
			"write `"+name+" contains {…} if {…}`")
	}
}

// helper wants a rule that is not the entry to be used. It reports whether the
// rule was meant to be the entry.
func (l *linter) helper(r *ast.Rule, entry string) bool {
	name := string(r.Head.Name)
	if strings.EqualFold(name, entry) {
		l.add(r.Location, "shape", "nothing reads "+name+": the rule is called "+entry, "rename it to "+entry)
		return true
	}
	if !l.unused(r) {
		return false
	}
	cure := "use it in " + entry + ", or delete it"
	if strings.HasPrefix(name, "test_") {
		cure = "tests go into a file of their own, *_test.rego"
	}
	l.add(r.Location, "unused", "nothing reads "+name, cure)
	return false
}

// unused reports whether no other rule reads a rule.
func (l *linter) unused(r *ast.Rule) bool {
	return !slices.ContainsFunc(l.compiler.GetRulesExact(r.Ref().GroundPrefix()), func(c *ast.Rule) bool { return len(l.compiler.Graph.Dependents(c)) > 0 })
}

// emits checks a rule that the gateway reads: its id, and what it emits.
func (l *linter) emits(r *ast.Rule, entry string, n *names) {
	id := idOf(r)
	here := Rule{id, r.Location.File, r.Location.Row}
	other, taken := l.ids[id]
	switch {
	case id == "":
		l.add(r.Location, "id", "the rule has no id",
			"put a comment above it: # METADATA, # custom:, #   id: <team>.<rule>")
	case strings.HasPrefix(id, "gateway."):
		l.add(r.Location, "id", "ids that begin with gateway. are those of the embedded rules", "begin the id with the team's name")
	case taken && other != here:
		l.add(r.Location, "id", "the id "+id+" is taken by "+other.File, "give every rule an id of its own")
	default:
		l.ids[id] = here
	}
	l.speaks(r)
	o := n.object(r)
	switch {
	case o == nil:
	case entry == "deny":
		l.reason(r, o, id)
	default:
		l.duty(r, o, id)
	}
}

// object is what a rule emits, when it can be seen without running it.
func (n *names) object(r *ast.Rule) ast.Object {
	t := r.Head.Key
	if v, ok := t.Value.(ast.Var); ok {
		for _, s := range n.sources(v) {
			if !s.elements {
				t = s.term
			}
		}
	}
	switch v := t.Value.(type) {
	case ast.Object:
		return v
	case ast.Call, ast.Var, ast.Ref:
		if c, ok := v.(ast.Call); !ok || !isBuiltin(c[0].String()) || strings.HasPrefix(c[0].String(), "object.") {
			return nil // a function of the team's makes it; the suite looks at what comes out
		}
	}
	n.linter.add(r.Location, "reason", string(r.Head.Name)+" emits something that is not an object", cure)
	return nil
}

func idOf(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if id, ok := a.Custom["id"].(string); ok {
			return id
		}
	}
	return ""
}

const cure = `write deny contains {"code": "…", "msg": "…", "rule": "<the rule's id>"}; "audience": "agent" shows it to the caller`

// reason wants a denial to say code, msg and rule in so many words.
func (l *linter) reason(r *ast.Rule, o ast.Object, id string) {
	for _, field := range []string{"code", "msg", "rule"} {
		if text(o, field) == "" {
			l.add(r.Location, "reason", "the denial has no "+field, cure)
		}
	}
	l.named(r, o, id)
	o.Foreach(func(k, v *ast.Term) {
		name, _ := k.Value.(ast.String)
		known := name == "mode" || name == "code" || name == "msg" || name == "rule" || name == "audience"
		audience := name != "audience" || v.Equal(ast.StringTerm("agent")) || v.Equal(ast.StringTerm("admin"))
		switch {
		case !known:
			l.add(r.Location, "reason", "the denial has a "+k.String()+" that the gateway does not know", cure)
		case name == "mode" && !v.Equal(ast.StringTerm("dry_run")):
			l.add(r.Location, "reason", "the mode is "+v.String()+", which is none", `write "mode": "dry_run" for a rule that is tried, and no mode for one that holds`)
		case !audience:
			l.add(r.Location, "reason", "the audience is neither \"agent\" nor \"admin\"", cure)
		case ast.IsConstant(v.Value) && ast.ValueName(v.Value) != "string":
			l.add(r.Location, "reason", "the denial's "+string(name)+" is not a text", cure)
		}
	})
}

// named wants the rule that is emitted to be the rule's own id.
func (l *linter) named(r *ast.Rule, o ast.Object, id string) {
	if rule := text(o, "rule"); rule != "" && id != "" && rule != id {
		l.add(r.Location, "id", "it names the rule "+rule+", but its id is "+id, "use the id")
	}
}

// duty wants an obligation to ask for what the gateway knows. What it does not
// know would be left out, which loosens.
func (l *linter) duty(r *ast.Rule, o ast.Object, id string) {
	l.named(r, o, id)
	o.Foreach(func(k, v *ast.Term) {
		var value any
		if ast.IsConstant(v.Value) {
			value, _ = ast.JSON(v.Value)
		}
		name, _ := k.Value.(ast.String)
		if name == "approval" && !v.Equal(ast.NullTerm()) {
			l.add(r.Location, "obligation", "the rule asks for an approval, and approvals do not exist yet, so every such call is denied", "leave approval out, or write a deny rule")
			return
		}
		if err := document.CheckDuty(string(name), value); err != nil {
			l.add(r.Location, "obligation", err.Error(),
				`write obligation contains {"deliver": "masked", "transforms": [{"name": "…", "args": {…}}], "max_ttl_s": 60}, with as many of them as are wanted`)
		}
	})
}

func text(o ast.Object, field string) string {
	if t := o.Get(ast.StringTerm(field)); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return string(s)
		}
		if field == "msg" {
			return t.String() // may be worked out, as by sprintf
		}
	}
	return ""
}
