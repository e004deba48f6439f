package failclosed

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/document"
)

// raw is an input as JSON, which may be changed into anything.
type raw map[string]any

func rawOf(in document.Input) raw {
	b, err := json.Marshal(in)
	out := raw{}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	for _, p := range []string{
		"principal.roles", "principal.scopes", "principal.actors", "resource.ancestors", "resource.segments",
		"resource.relative_segments", "resource.matches", "args.keys",
	} {
		if path := strings.Split(p, "."); at(out, path) == nil {
			set(out, path, []any{})
		}
	}
	for _, p := range []string{"args.values", "args.fields", "principal.claims", "context.session"} {
		if path := strings.Split(p, "."); at(out, path) == nil {
			set(out, path, map[string]any{})
		}
	}
	return out
}

// base is an input with the terms of its objects. Inputs that were made of it by `along`
// have most of its objects, and so need no terms of their own for them.
type base struct {
	in    raw
	terms map[string]*ast.Term
}

func newBase(in raw) *base {
	b := &base{in, map[string]*ast.Term{}}
	for name, v := range in {
		b.terms[name] = term(v)
	}
	return b
}

// value is an input as the evaluator takes it.
func (b *base) value(in raw) ast.Value {
	fields := make([][2]*ast.Term, 0, len(in))
	for name, v := range in {
		t := b.shared(name, v)
		if t == nil {
			t = term(v)
		}
		fields = append(fields, [2]*ast.Term{ast.StringTerm(name), t})
	}
	return ast.NewObject(fields...)
}

// shared is the term of an object that the base has as well, nil for any other.
func (b *base) shared(name string, v any) *ast.Term {
	m, ok := v.(map[string]any)
	if !ok || b == nil {
		return nil
	}
	own, ok := b.in[name].(map[string]any)
	if !ok || reflect.ValueOf(m).UnsafePointer() != reflect.ValueOf(own).UnsafePointer() {
		return nil
	}
	return b.terms[name]
}

func term(v any) *ast.Term { return ast.NewTerm(ast.MustInterfaceToValue(v)) }

// along is the input with copies of the objects that a path leads through, so that what
// is at its end can be changed.
func (r raw) along(path []string) raw {
	out := maps.Clone(r)
	for m, i := out, 0; i < len(path)-1; i++ {
		inner, ok := m[path[i]].(map[string]any)
		if !ok {
			break
		}
		inner = maps.Clone(inner)
		m[path[i]], m = inner, inner
	}
	return out
}

func at(m map[string]any, path []string) any {
	var v any = m
	for _, p := range path {
		o, _ := v.(map[string]any)
		v = o[p]
	}
	return v
}

// set writes a field, into objects that are there.
func set(m map[string]any, path []string, v any) {
	for _, p := range path[:len(path)-1] {
		inner, ok := m[p].(map[string]any)
		if !ok {
			return
		}
		m = inner
	}
	m[path[len(path)-1]] = v
}

func remove(m map[string]any, path []string) {
	for _, p := range path[:len(path)-1] {
		inner, ok := m[p].(map[string]any)
		if !ok {
			return
		}
		m = inner
	}
	delete(m, path[len(path)-1])
}

// fields are the paths of all objects and leaves of an input.
func fields(m map[string]any, above ...string) [][]string {
	var out [][]string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		path := append(slices.Clone(above), k)
		out = append(out, path)
		if o, ok := m[k].(map[string]any); ok {
			out = append(out, fields(o, path...)...)
		}
	}
	return out
}

// change is one way to spoil a field.
type change struct {
	name  string
	apply func(raw, []string)
}

func changes() []change {
	return []change{
		{"removed", func(r raw, p []string) { remove(r, p) }},
		{"null", func(r raw, p []string) { set(r, p, nil) }},
		{"of another type", func(r raw, p []string) { set(r, p, another(at(r, p))) }},
		{"empty", func(r raw, p []string) { set(r, p, empty(at(r, p))) }},
	}
}

// another is a value of another type that is as true as can be.
func another(v any) any {
	switch v.(type) {
	case string:
		return []any{v}
	case bool:
		return "true"
	case nil:
		return []any{"x"}
	}
	return "x"
}

func empty(v any) any {
	switch v.(type) {
	case string:
		return ""
	case float64:
		return float64(0)
	case bool:
		return false
	case []any:
		return []any{}
	case map[string]any:
		return map[string]any{}
	}
	return nil
}

// with is the input with a literal in a field, its ancestors following its path.
func (r raw) with(l literal) raw {
	if len(l.path) == 0 {
		return r
	}
	out := r.along(l.path).along([]string{"resource", "path"})
	if list, ok := at(out, l.path).([]any); ok {
		set(out, l.path, append(slices.Clone(list), l.value))
		return out
	}
	if len(l.path) > 2 && l.path[0] == "args" {
		out = out.along([]string{"args", "keys"})
		set(out, []string{"args", "keys"}, []any{l.path[2]})
	}
	set(out, l.path, l.value)
	out.follow()
	return out
}

// follow makes ancestors those of the path.
func (r raw) follow() {
	s, _ := at(r, []string{"resource", "path"}).(string)
	p, err := call.ParsePath(s)
	if err != nil {
		set(r, []string{"resource", "path"}, "")
	}
	list := []any{}
	for _, a := range p.Ancestors() {
		list = append(list, a)
	}
	set(r, []string{"resource", "ancestors"}, list)
	r.parts(p.String())
}

// parts makes segments and relative path those of the path. The grants with wildcards
// that were found are for another path.
func (r raw) parts(path string) {
	prefix, _ := at(r, []string{"principal", "prefix"}).(string)
	rest, below := strings.CutPrefix(path+"/", prefix+"/")
	set(r, []string{"resource", "relative"}, nil)
	set(r, []string{"resource", "relative_segments"}, []any{})
	set(r, []string{"resource", "segments"}, split(path))
	set(r, []string{"resource", "matches"}, []any{})
	if below && prefix != "" && at(r, []string{"action", "engine"}) == "kv" {
		rest = strings.TrimSuffix(rest, "/")
		set(r, []string{"resource", "relative"}, rest)
		set(r, []string{"resource", "relative_segments"}, split(rest))
	}
}

func split(path string) []any {
	out := []any{}
	for s := range strings.SplitSeq(path, "/") {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
