package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// route is one method and pattern, with the operations that share it. Those on a
// catch-all are told apart by the verb behind the last colon, "" for none, and "/" for
// a slash at the end.
type route struct {
	method, pattern string
	parameter       string // name of the pattern's parameter
	full            bool   // its parameter is {mount}/{full path}
	verbs           map[string]*op.Op
	known           map[string]bool // the verbs of the pattern, whatever the method
	allow           string          // the methods that the pattern answers without a verb
}

func routesOf(c *op.Catalogue) ([]*route, error) {
	var t table
	for _, o := range c.All() {
		for _, path := range []string{o.Path, o.FullPath} {
			if err := t.add(o, path, path == o.FullPath); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range t {
		r.allow, r.known = t.plain(r.pattern), t.verbs(r.pattern)
	}
	return t, nil
}

type table []*route

// add adds an operation at a path, "" for none.
func (t *table) add(o *op.Op, path string, full bool) error {
	if path == "" {
		return nil
	}
	pattern, verb := path, ""
	if i := strings.Index(path, "/*"); i >= 0 {
		name, v, _ := strings.Cut(path[i:], ":")
		if trimmed, ok := strings.CutSuffix(name[1:], "/"); ok {
			name, v = "/"+trimmed, "/"
		}
		pattern, verb = path[:i]+name, v
	}
	i := slices.IndexFunc(*t, func(r *route) bool { return r.method == o.Method && r.pattern == pattern })
	if i < 0 {
		*t = append(*t, &route{method: o.Method, pattern: pattern, parameter: edge.Parameter(pattern), full: full, verbs: map[string]*op.Op{}})
		i = len(*t) - 1
	}
	r := (*t)[i]
	if r.verbs[verb] != nil {
		return fmt.Errorf("%s and %s share a route", o.Name, r.verbs[verb].Name)
	}
	r.verbs[verb] = o
	return nil
}

// plain names the methods that a pattern answers without a verb.
func (t table) plain(pattern string) string {
	methods := []string{http.MethodOptions}
	for _, r := range t {
		if r.pattern != pattern || r.verbs[""] == nil {
			continue
		}
		methods = append(methods, r.method)
		if r.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

func (t table) verbs(pattern string) map[string]bool {
	known := map[string]bool{}
	for _, r := range t {
		for verb := range r.verbs {
			if r.pattern == pattern && verb != "" {
				known[verb] = true
			}
		}
	}
	return known
}

// pick finds the operation and its path argument. verb is what was written behind a
// literal colon: it is a verb when there is one of that name, and else a part of the
// name, like a colon that was escaped.
func (rt *route) pick(path, verb string) (*op.Op, string, error) {
	switch {
	case strings.HasSuffix(path, "/"):
		if !rt.known["/"] {
			return nil, "", call.Errorf(call.InvalidRequest, "the path of a secret does not end in a slash; GET /secrets?prefix=%s lists what is below a path", "{path}/")
		}
		path, verb = strings.TrimSuffix(path, "/"), "/"
	case rt.known[verb]:
		path = path[:len(path)-len(verb)-1]
	default:
		verb = ""
	}
	o := rt.verbs[verb]
	switch {
	case o != nil:
		if rt.full {
			path = call.URI(strings.Split(path, "/"))
		}
		return o, path, nil
	case verb == "":
		return nil, "", call.Errorf(call.MethodNotAllowed, "this route needs a verb behind the path: one of %s", strings.Join(rt.names(), " "))
	}
	return nil, "", call.Errorf(call.MethodNotAllowed, "%s is a verb that this method does not have; a colon that is part of a name is written %%3A", verb)
}

// names are the verbs of the route, sorted, with their colons.
func (rt *route) names() []string {
	var out []string
	for v := range rt.verbs {
		if v != "" && v != "/" {
			out = append(out, ":"+v)
		}
	}
	slices.Sort(out)
	return out
}
