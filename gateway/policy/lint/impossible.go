package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

// impossible looks at a rule for what can never be: a field that is compared with what it
// never is, an argument that no operation takes, conditions that exclude each other. Such a
// rule says nothing, or its exception never holds.
func (l *linter) impossible(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		s := l.scopeOf(r, 0)
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case *ast.Rule:
				return x != r // an else branch has names of its own
			case *ast.Annotations:
				return true
			case ast.Body:
				s.conjunction(x)
			case ast.Call:
				s.comparison(x[0].Location, x[0].String(), x[1:])
			case ast.Ref:
				s.reads(x)
			case *ast.Expr:
				if x.IsCall() {
					s.comparison(x.Location, x.Operator().String(), x.Operands())
				}
			}
			return false
		}).Walk(r)
	}
}

// field is the name of a field of the input, with elements of lists as a star; empty for
// anything else.
func (s *scope) field(t *ast.Term) (name string, path []string) {
	path = s.canonical(t)
	if len(path) < 2 || path[0] != "input" {
		return "", nil
	}
	path = slices.Clone(path[1:])
	for i, part := range path {
		list, _ := document.TypeOf(path[:i])
		if strings.HasPrefix(part, "*") || list == "array" {
			path[i] = "*"
		}
	}
	return strings.Join(path, "."), path
}

// comparison looks at what a field is compared with.
func (s *scope) comparison(at *ast.Location, name string, args []*ast.Term) {
	switch name {
	case "equal", "eq", "neq", "lt", "lte", "gt", "gte":
		for i := range min(len(args), 2) {
			s.held(at, mirrored(name, i == 1), args[i], s.constants(args[1-i], false))
			s.folded(at, args[i], args[1-i])
		}
	case "internal.member_2":
		s.held(at, "equal", args[0], s.constants(args[1], true))
		if name, path := s.field(args[1]); name != "" {
			if kind, _ := document.TypeOf(path); kind != "" && kind != "array" && kind != "object" {
				s.linter.add(at, "value", "input."+name+" is "+article(kind)+", which holds nothing, so in never holds", "compare it, or use contains for a part of a text")
			}
			s.holds(at, "equal", append(path, "*"), s.constants(args[0], false))
		}
	case "startswith", "strings.any_prefix_match":
		s.addresses(at, args)
		if field, _ := s.field(args[0]); isPathField(field) {
			for _, t := range s.constants(args[1], true) {
				if text, ok := t.Value.(ast.String); ok {
					s.pathText(at, field, strings.TrimSuffix(string(text), "/"))
				}
			}
		}
		s.begins(at, args)
	}
}

// held is holds of a term.
func (s *scope) held(at *ast.Location, op string, t *ast.Term, with []*ast.Term) {
	if name, path := s.field(t); name != "" {
		s.holds(at, op, path, with)
	}
}

// constants are the constants that a term can be, or those in it when it is a list.
func (s *scope) constants(t *ast.Term, in bool) (out []*ast.Term) {
	for _, w := range s.written(t, deep) {
		list := []source{w}
		if _, text := w.term.Value.(ast.String); in && !text {
			list = elements(w, deep)
		}
		for _, e := range list {
			if ast.IsConstant(e.term.Value) {
				out = append(out, e.term)
			}
		}
	}
	return out
}

// holds looks at the comparison of a field with constants.
func (s *scope) holds(at *ast.Location, op string, path []string, with []*ast.Term) {
	name := strings.Join(path, ".")
	kind, null := document.TypeOf(path)
	for _, t := range with {
		given := ast.ValueName(t.Value)
		s.argumentHolds(at, path, given)
		s.form(at, name, t)
		switch {
		case kind == "" || given == "set":
		case given == "null":
			if !null && op != "neq" {
				s.linter.add(at, "value", "input."+name+" is never null", "compare it with "+empty(kind))
			}
		case given != kind:
			s.linter.add(at, "value", fmt.Sprintf("input.%s is %s and is compared with %s", name, article(kind), article(given)), "compare it with "+article(kind))
		case kind == "string" && (op == "equal" || op == "eq" || op == "neq"):
			s.text(at, name, string(t.Value.(ast.String)))
		case kind == "number":
			s.number(at, op, name, t.Value.(ast.Number))
		}
	}
}

func article(kind string) string {
	switch kind {
	case "string":
		return "a text"
	case "array":
		return "a list"
	case "boolean":
		return "true or false"
	case "object":
		return "an object"
	}
	return "a " + kind
}

func empty(kind string) string {
	switch kind {
	case "string":
		return `""`
	case "number":
		return "0"
	case "array":
		return "[]"
	}
	return "a value that it can have"
}

// text looks at a text that a field is compared with.
func (s *scope) text(at *ast.Location, name, text string) {
	if allowed := s.linter.values[name]; allowed != nil && text != "" && !slices.Contains(allowed, text) {
		cure := "it is one of " + strings.Join(allowed, ", ")
		if n := op.Nearest(text, allowed); n != "" {
			cure = "did you mean " + n + "? It is one of " + strings.Join(allowed, ", ")
		}
		say := s.linter.add
		if name == "resource.mount" && !strings.HasSuffix(text, "/") {
			say = s.linter.warn // the gateway may be told of other mounts
		}
		say(at, "value", "input."+name+" is never \""+text+"\"", cure)
	}
	if name == "args.keys.*" {
		s.linter.takes(at, s, text)
	}
	if isPathField(name) {
		s.pathText(at, name, text)
	}
}

// isPathField reports whether a field holds a clean path, or a segment of one.
func isPathField(name string) bool {
	switch name {
	case "resource.path", "resource.relative", "resource.ancestors.*", "resource.segments.*", "resource.relative_segments.*":
		return true
	}
	return false
}

// pathText looks at a text that a path, or a segment of one, is compared with.
func (s *scope) pathText(at *ast.Location, name, text string) {
	say := func(msg, cure string) {
		s.linter.add(at, "value", fmt.Sprintf("input.%s is never %q: %s", name, text, msg), cure)
	}
	cut := strings.Trim(text, "/")
	switch {
	case text == "":
	case strings.Contains(text, "://"):
		say("it has no mount", "write the path below the mount, and compare input.resource.mount besides")
	case strings.HasSuffix(name, "segments.*") && strings.Contains(text, "/"):
		say("a segment has no slash", "compare one segment, or use input.resource.ancestors for a path")
	case cut != text || strings.Contains(text, "//"):
		say("a path has no slash at its ends, nor two in a row", "write "+strings.ReplaceAll(cut, "//", "/"))
	case slices.ContainsFunc(strings.Split(text, "/"), func(s string) bool { return s == "." || s == ".." }):
		say("paths are clean", "write the path without . and ..")
	default:
		s.mounted(at, name, text)
	}
}

// mounted looks for the mount, or the API's data and metadata, in front of a path.
func (s *scope) mounted(at *ast.Location, name, text string) {
	for _, mount := range s.linter.values["resource.mount"] {
		for _, part := range []string{"/data", "/metadata", ""} {
			rest, found := strings.CutPrefix(text, mount+part+"/")
			if !found && (part == "" || text != mount+part) {
				continue
			}
			msg, cure := fmt.Sprintf("input.%s is compared with %q, and has neither the mount %s nor %s in it", name, text, mount, strings.TrimPrefix(part+"/", "/")),
				"write the path below the mount, as "+rest
			if part == "" {
				s.linter.warn(at, "value", fmt.Sprintf("input.%s is compared with %q, and has not the mount %s in it", name, text, mount), cure)
			} else {
				s.linter.add(at, "value", msg, cure)
			}
			return
		}
	}
}

// limits are the smallest and the largest number that a field has.
func limits() map[string][2]float64 {
	const large = 1e11 // seconds: the present in milliseconds is beyond it
	return map[string][2]float64{
		"context.time.hour_utc": {0, 23}, "context.time.minute_utc": {0, 59}, "context.time.local.hour": {0, 23}, "context.time.local.minute": {0, 59},
		"context.time.unix_s": {0, large}, "principal.auth.created_s": {0, large}, "principal.auth.age_s": {0, large}, "request.ttl_s": {0, large},
		"request.wrap_ttl_s": {0, large}, "args.bytes": {0, 1 << 40}, "args.items": {0, 1 << 40}, "resource.version": {0, 1 << 40}, "v": {1, document.Version},
	}
}

// number looks at a number that a field is compared with.
func (s *scope) number(at *ast.Location, op, name string, given ast.Number) {
	_, null := document.TypeOf(strings.Split(name, "."))
	f, ok := given.Float64()
	bounds, known := limits()[name]
	if !ok || !known {
		return
	}
	never := (op == "equal" || op == "eq" || op == "neq") && (f < bounds[0] || f > bounds[1]) ||
		op == "gt" && f >= bounds[1] || op == "gte" && f > bounds[1] || op == "lt" && f <= bounds[0] || op == "lte" && f < bounds[0]
	always := (op == "lt" || op == "lte") && f > bounds[1] && bounds[1] == 1e11
	switch {
	case never || always:
		cure := fmt.Sprintf("it is %v to %.0f", bounds[0], bounds[1])
		if bounds[1] == 1e11 {
			cure = fmt.Sprintf("write seconds: %.0f would be in milliseconds", f)
		}
		s.linter.add(at, "value", fmt.Sprintf("input.%s is never %s", name, given), cure)
	case null && op != "equal" && op != "eq" && op != "neq":
		s.unknownNumber(at, name)
	}
}

// unknownNumber warns of a comparison of a number that may be unknown, unless the file says
// what then holds, or the rule is about tokens, which say when they were issued.
func (s *scope) unknownNumber(at *ast.Location, name string) {
	all := map[string]*constraint{}
	for _, e := range s.rule.Body {
		s.constrains(e, all)
	}
	if c := all["principal.auth.method"]; c != nil && len(c.one) == 1 && c.one[0] == `"jwt"` || s.asksForNull(name) {
		return
	}
	s.linter.warn(at, "value", "input."+name+" is null when it is unknown, as for a key without a creation date (0 in version 1), and null is less than every number",
		"say what then holds, in a rule with input."+name+" == null")
}

// asksForNull reports whether any rule of the file asks whether a field is null.
func (s *scope) asksForNull(name string) (found bool) {
	for _, r := range s.module.Rules {
		in := s.linter.scopeOf(r, 0)
		ast.WalkExprs(r, func(e *ast.Expr) bool {
			if !e.IsCall() || len(e.Operands()) == 0 {
				return false
			}
			operator := e.Operator().String()
			null := operator == "is_null" || operator == "is_number" || slices.ContainsFunc(e.Operands(), func(t *ast.Term) bool { return t.Equal(ast.NullTerm()) })
			for _, t := range e.Operands() {
				field, _ := in.field(t)
				found = found || null && field == name
			}
			return found
		})
	}
	return found
}

// folded looks at a text in capitals that is compared with one in small letters.
func (s *scope) folded(at *ast.Location, t, other *ast.Term) {
	c, ok := t.Value.(ast.Call)
	text, isText := other.Value.(ast.String)
	if !ok || !isText {
		return
	}
	name := c[0].String()
	if name == "lower" && strings.ToLower(string(text)) != string(text) || name == "upper" && strings.ToUpper(string(text)) != string(text) {
		s.linter.add(at, "value", fmt.Sprintf("%s never makes %q", name, string(text)), "write the text as "+name+" makes it")
	}
}

// begins looks at the beginning of a field that has a list of values.
func (s *scope) begins(at *ast.Location, args []*ast.Term) {
	name, _ := s.field(args[0])
	allowed := s.linter.values[name]
	for _, t := range s.constants(args[1], false) {
		text, ok := t.Value.(ast.String)
		if ok && allowed != nil && !slices.ContainsFunc(allowed, func(v string) bool { return strings.HasPrefix(v, string(text)) }) {
			s.linter.add(at, "value", fmt.Sprintf("input.%s never begins with %q", name, string(text)), "it is one of "+strings.Join(allowed, ", "))
		}
	}
}

// reads looks at a reference to an argument that no operation takes, to what is reserved,
// and to data that are not there.
func (s *scope) reads(r ast.Ref) {
	path := s.canonical(ast.NewTerm(r))
	name := strings.Join(path, ".")
	switch {
	case len(path) > 3 && strings.HasPrefix(name, "input.args.values.") && !strings.ContainsAny(path[3], "[#*"):
		s.linter.takes(r[0].Location, s, path[3])
	case strings.HasPrefix(name, "input.context.session.") || strings.HasPrefix(name, "input.resource.metadata"):
		s.linter.add(r[0].Location, "value", name+" is reserved: nothing is in it yet", "leave it out")
	case strings.HasPrefix(name, "input.context.time.local.") && s.linter.data["zone"] == nil:
		s.linter.warn(r[0].Location, "value", "the data have no zone, so the local time is UTC", "add a zone to the data, as zone: Europe/Berlin, or use the fields of UTC")
	case len(path) > 1 && path[0] == "data":
		s.keyed(r)
		s.absent(r, path)
	}
}

// absent looks at a reference to data, or to rules, that are not there.
func (s *scope) absent(r ast.Ref, path []string) {
	l, at := s.linter, r[0].Location
	switch path[1] {
	case "grants":
		l.add(at, "value", "data.grants is not there for rules", `grants are found as data.tenants[""]`)
	case "policy":
		if len(path) > 4 && l.ruleAt(path) == 0 {
			l.add(at, "value", strings.Join(path, ".")+" is no rule", "name a rule of policy.lib, or of the same package")
		}
	case "team":
		for i := 3; i <= len(path); i++ {
			if strings.ContainsAny(path[i-1], "[#*") {
				return
			}
			if !inData(l.data, path[1:i]) {
				l.warn(at, "value", "the data have no "+strings.Join(path[1:i], "."), "add it to data.yaml, or mend the name: until it is there, nothing is found")
				return
			}
		}
	}
}

// takes looks for an argument that no operation takes, or none of those that the rule is
// about.
func (l *linter) takes(at *ast.Location, s *scope, name string) {
	if len(l.ops) == 0 {
		return
	}
	known, about := map[string]bool{}, s.about()
	for _, o := range l.ops {
		for arg := range o.In.Properties {
			known[arg] = known[arg] || about[o.Name]
		}
	}
	names := slices.Sorted(maps.Keys(known))
	cure := "name an argument as the operation's schema does: " + strings.Join(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !known[n] }), ", ")
	if n := op.Nearest(name, names); n != "" && n != name {
		cure = "did you mean " + n + "?"
	}
	fits, there := known[name]
	switch {
	case !there:
		l.add(at, "value", "no operation has an argument "+name, cure)
	case !fits:
		l.warn(at, "value", "no operation that the rule is about has an argument "+name, cure)
	}
}
