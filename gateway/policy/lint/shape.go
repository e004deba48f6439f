package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Packages that a team may have, by their second part, with the rule that the
// gateway reads in each.
func extensionPoints() map[string]string {
	return map[string]string{"deny": "deny", "obligations": "obligation", "lib": ""}
}

// shape wants a module to be one of the extension points. What has another shape
// compiles, is read by nobody, and so allows.
func (l *linter) shape(m *ast.Module) {
	parts := strings.Split(strings.TrimPrefix(m.Package.Path.String(), "data."), ".")
	rule, ok := "", false
	if len(parts) == 3 && parts[0] == "policy" {
		rule, ok = extensionPoints()[parts[1]]
	}
	if !ok {
		l.add(m.Package.Location, "package", "nothing reads package "+strings.Join(parts, "."),
			"name it policy.deny.<team>, policy.obligations.<team> or policy.lib.<name>; package gateway belongs to the gateway")
		return
	}
	if rule == "" {
		return
	}
	l.entry(m, rule)
}

// entry wants the rule that the gateway reads to be there, to be a set, and every
// other rule to be read by something.
func (l *linter) entry(m *ast.Module, name string) {
	misspelt := false
	for _, r := range m.Rules {
		switch {
		case string(r.Head.Name) != name:
			misspelt = l.helper(r, name) || misspelt
		case r.Head.RuleKind() != ast.MultiValue || len(r.Head.Args) > 0 || len(r.Head.Ref()) != 1:
			l.add(r.Location, "shape", name+" is not a set, so nothing reads it", "write `"+name+" contains {…} if {…}`")
		default:
			l.emits(r, name)
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
	for _, c := range l.compiler.GetRulesExact(r.Ref().GroundPrefix()) {
		if len(l.compiler.Graph.Dependents(c)) > 0 {
			return false
		}
	}
	l.add(r.Location, "unused", "nothing reads "+name, "use it in "+entry+", or delete it")
	return false
}

// emits checks a rule that the gateway reads: its id, and what it emits.
func (l *linter) emits(r *ast.Rule, entry string) {
	id := idOf(r)
	if id == "" {
		l.add(r.Location, "id", "the rule has no id",
			"put a comment above it: # METADATA, # custom:, #   id: <team>.<rule>")
	} else if other, taken := l.ids[id]; taken && other.Line != r.Location.Row {
		l.add(r.Location, "id", "the id "+id+" is taken", "give every rule an id of its own")
	} else {
		l.ids[id] = Rule{id, r.Location.File, r.Location.Row}
	}
	if entry == "deny" {
		l.reason(r, id)
	}
}

func idOf(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if id, ok := a.Custom["id"].(string); ok {
			return id
		}
	}
	return ""
}

// reason wants a denial to say code, msg and rule in so many words.
func (l *linter) reason(r *ast.Rule, id string) {
	const cure = `write deny contains {"code": "…", "msg": "…", "rule": "<the rule's id>"}; "audience": "agent" shows it to the caller`
	o, ok := r.Head.Key.Value.(ast.Object)
	if !ok {
		l.add(r.Location, "reason", "the denial is not written as an object", cure)
		return
	}
	for _, field := range []string{"code", "msg", "rule"} {
		if text(o, field) == "" {
			l.add(r.Location, "reason", "the denial has no "+field, cure)
		}
	}
	if rule := text(o, "rule"); rule != "" && id != "" && rule != id {
		l.add(r.Location, "id", "the denial names the rule "+rule+", but its id is "+id, "use the id")
	}
	o.Foreach(func(k, v *ast.Term) {
		name, _ := k.Value.(ast.String)
		known := name == "code" || name == "msg" || name == "rule" || name == "audience"
		audience := name != "audience" || v.Equal(ast.StringTerm("agent")) || v.Equal(ast.StringTerm("admin"))
		if !known || !audience {
			l.add(r.Location, "reason", "the denial has a "+k.String()+" that the gateway does not know", cure)
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
