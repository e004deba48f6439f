package failclosed

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
)

// few bounds how many entries of a table are tried.
const few = 4

// corpus makes well-typed inputs: callers that the data know and one that they do
// not, every operation, and resources that are the caller's own, granted, next to
// a granted one, and strange.
func corpus(d data.Data, ops []*op.Op) []document.Input {
	var out []document.Input
	for _, p := range principals(d) {
		for _, o := range ops {
			for _, path := range paths(d, p, o) {
				out = append(out, input(p, o, path))
			}
		}
	}
	return out
}

func input(p document.Principal, o *op.Op, path string) document.Input {
	in := document.Input{
		V:         document.Version,
		Request:   document.Request{ID: "r", Transport: "rest", Phase: "call"},
		Principal: p,
		Action:    document.Action{Op: o.Name, Engine: o.Engine, Effect: string(o.Effect), Public: o.Public},
		Resource:  document.Resource{Mount: o.Mount, Path: path},
		Context: document.Context{
			Time: document.At(time.Unix(1_700_000_000, 0)), SourceIP: "192.0.2.1",
		},
	}
	if c, err := call.ParsePath(path); err == nil {
		in.Resource.Ancestors, in.Resource.Segments = c.Ancestors(), strings.Split(path, "/")
	}
	return in
}

// principals are a stranger and a few callers of every table.
func principals(d data.Data) []document.Principal {
	out := []document.Principal{principal("", "conformance", nil)}
	for _, tenant := range first(slices.Values(d.Tenants())) {
		table := d.Table(tenant)
		for _, id := range first(keys(table.Holders(data.Subjects))) {
			out = append(out, principal(tenant, id, nil))
		}
		for _, role := range first(keys(table.Holders(data.Roles))) {
			out = append(out, principal(tenant, "conformance", []string{role}))
		}
	}
	return out
}

func principal(tenant, id string, roles []string) document.Principal {
	return document.Principal{
		ID: id, Kind: "agent", Tenant: tenant, Prefix: "conformance/" + id, Roles: roles,
		Scopes: []string{"read", "list", "write", "delete"},
		Acting: document.Actor{ID: id, Kind: "agent"},
		Auth:   document.Auth{Method: "api_key", AgeS: new(60), CreatedS: new(1_699_999_940)},
	}
}

// paths are what is tried as the resource of an operation.
func paths(d data.Data, p document.Principal, o *op.Op) []string {
	out := []string{"", "conformance-unknown"}
	if o.Engine == "kv" {
		out = append(out, p.Prefix, p.Prefix+"/x", p.Prefix+"0/x", "conformance", "elsewhere/x")
	}
	table := d.Table(p.Tenant)
	holders := []data.Holder{table.Holder(data.Subjects, p.ID)}
	for _, r := range p.Roles {
		holders = append(holders, table.Holder(data.Roles, r))
	}
	for _, h := range holders {
		for _, name := range first(keys(h.Granted(o.Engine))) {
			if name = example(name, p); name == "" {
				continue
			}
			out = append(out, name, name+"0")
			if o.Engine == "kv" {
				out = append(out, name+"/x", name+"0/x")
			}
		}
	}
	return out
}

// example is a path that a grant is for, empty when it is for none of the caller's.
func example(name string, p document.Principal) string {
	if !program.IsPattern(name) {
		return name
	}
	role := p.ID
	if len(p.Roles) > 0 {
		role = p.Roles[0]
	}
	list := program.Names(strings.ReplaceAll(name, "/*", "/x"), &document.Input{Principal: p}, []string{role})
	if len(list) == 0 {
		return ""
	}
	return strings.ReplaceAll(list[0], "+", "x")
}

// first are the first few names in order.
func first(names iter.Seq[string]) []string {
	out := make([]string, 0, few+1)
	for name := range names { // of which there may be a hundred thousand, so they are not sorted
		i, _ := slices.BinarySearch(out, name)
		if out = slices.Insert(out, i, name); len(out) > few {
			out = out[:few]
		}
	}
	return out
}

func keys[V any](table iter.Seq2[string, V]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range table {
			if !yield(name) {
				return
			}
		}
	}
}

// literal is a value that a rule compares a field with.
type literal struct {
	path  []string
	value any
}

// literals are the values that the rules of a team compare input fields with:
// inputs that hold them are what makes the rules speak. Those of the fields that have
// a list of values come first; each is there once.
func literals(modules map[string]*ast.Module) []literal {
	var fixed, written []literal
	for field, values := range lint.FixedValues() {
		for _, v := range values {
			if uses(modules, field) {
				fixed = append(fixed, literal{strings.Split(field, "."), v})
			}
		}
	}
	for _, m := range modules {
		ast.WalkExprs(m, func(e *ast.Expr) bool {
			if !e.IsCall() {
				return false
			}
			for _, a := range e.Operands() {
				for _, b := range e.Operands() {
					written = append(written, pairUp(a, b)...)
				}
			}
			return false
		})
	}
	order := func(a, b literal) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(fixed, order)
	slices.SortFunc(written, order)
	seen := map[string]bool{}
	return slices.DeleteFunc(append(fixed, written...), func(l literal) bool {
		key := fmt.Sprintf("%q %T %v", l.path, l.value, l.value)
		again := seen[key]
		seen[key] = true
		return again
	})
}

// uses reports whether a rule reads a field by its name.
func uses(modules map[string]*ast.Module, field string) bool {
	for _, m := range modules {
		found := false
		ast.WalkRefs(m, func(r ast.Ref) bool {
			found = found || strings.HasSuffix(r.String(), "."+field) || r.String() == "input."+field
			return found
		})
		if found {
			return true
		}
	}
	return false
}

// pairUp makes literals of a field and a constant, or a set or list of them.
func pairUp(field, constant *ast.Term) []literal {
	ref, ok := field.Value.(ast.Ref)
	if !ok || !ref[0].Equal(ast.InputRootDocument) {
		return nil
	}
	path := groundPath(ref)
	if !isLeaf(path) {
		return nil // as the object that object.get looks into: a text is no value of its
	}
	switch v := constant.Value.(type) {
	case ast.String:
		s := string(v)
		out := []literal{{path, s}}
		if strings.HasSuffix(ref.String(), ".path") {
			s = strings.TrimSuffix(s, "/")
			out = append(out, literal{path, s + "/x"}, literal{path, s + "0/x"})
		}
		return out
	case ast.Boolean:
		return []literal{{path, bool(v)}}
	case ast.Number:
		if n, whole := v.Int(); whole {
			return []literal{{path, n}, {path, n + 1}}
		}
	case ast.Set:
		return each(path, v.Slice())
	case *ast.Array:
		var terms []*ast.Term
		v.Foreach(func(t *ast.Term) { terms = append(terms, t) })
		return each(path, terms)
	}
	return nil
}

// isLeaf reports whether a path of the input leads to a value or a list, and not to
// something with fields.
func isLeaf(path []string) bool {
	names, _ := document.FieldsOf(strings.Join(path, "."))
	return len(path) > 0 && len(names) == 0 && !slices.Equal(path, []string{"args", "values"})
}

func each(path []string, terms []*ast.Term) []literal {
	var out []literal
	for _, t := range terms {
		if s, ok := t.Value.(ast.String); ok {
			out = append(out, literal{path, string(s)})
		}
	}
	return out
}

func groundPath(r ast.Ref) []string {
	var out []string
	for _, t := range r[1:] {
		if s, ok := t.Value.(ast.String); ok {
			out = append(out, string(s))
		}
	}
	return out
}
