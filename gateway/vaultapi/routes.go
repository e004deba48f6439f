package vaultapi

import (
	"net/http"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// route is one row of the table of operations: what is asked with a verb below a mount
// of an engine is a call of one operation.
type route struct {
	engine  string // as the catalogue has it
	kv      int    // version of KV, 0 for other engines
	verbs   []verb
	pattern string // below the mount; :name is one segment, *name the rest, which lists may leave out
	op      string
	args    func(*request) (map[string]any, error)
	reply   func(*request, result) *reply
}

// routes is the table of operations. The first row that fits holds.
func (a *API) routes() []route {
	return slices.Concat(kv2Routes(), kv1Routes(), transitRoutes(), databaseRoutes(), a.sshRoutes(), pkiRoutes(), totpRoutes(), credsRoutes())
}

func verbs(v ...verb) []verb { return v }

// match reports whether a path fits a pattern, and fills in the pattern's parameters unless
// params is nil. It allocates nothing: each request is held against every row.
func match(pattern, path string, params map[string]string) bool {
	rest, more := path, path != ""
	for want, left := pattern, true; left; {
		var p, have string
		p, want, left = strings.Cut(want, "/")
		if strings.HasPrefix(p, "*") {
			set(params, p[1:], rest)
			return true
		}
		if !more {
			return false
		}
		have, rest, more = strings.Cut(rest, "/")
		switch {
		case strings.HasPrefix(p, ":"):
			set(params, p[1:], have)
		case p != have:
			return false
		}
	}
	return !more
}

func set(params map[string]string, name, value string) {
	if params != nil {
		params[name] = value
	}
}

// filled are the parameters of a pattern that a path fits.
func filled(pattern, path string) map[string]string {
	params := map[string]string{}
	match(pattern, path, params)
	return params
}

// located is a mount of the catalogue and its engine.
type located struct {
	engine string
	op.Mount
}

// mountsOf are the mounts of a catalogue, the longest path first.
func mountsOf(c *op.Catalogue) (all []located) {
	seen := map[string]bool{}
	for _, o := range c.All() {
		for _, m := range o.Mounts() {
			if !seen[m.Path] {
				seen[m.Path] = true
				all = append(all, located{o.Engine, m})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b located) int { return len(b.Path) - len(a.Path) })
	return all
}

// locate finds the mount that a path begins with, the longest one, and its engine.
func (a *API) locate(path string) (engine string, m op.Mount, rest string, ok bool) {
	for i := range a.places {
		p := &a.places[i]
		below, found := strings.CutPrefix(path, p.Path)
		if found && (below == "" || below[0] == '/') {
			return p.engine, p.Mount, strings.TrimPrefix(below, "/"), true
		}
	}
	return "", op.Mount{}, "", false
}

// find finds the row for a request.
func (a *API) find(q *request) (*route, error) {
	engine, m, rest, ok := a.locate(q.path)
	if !ok && (strings.HasPrefix(q.path, "sys/") || strings.HasPrefix(q.path, "auth/")) {
		return nil, call.Errorf(call.UnknownOperation, "unsupported path: the gateway has no such part of Vault's API; what is set up in Vault, and for many at once, needs Vault itself")
	}
	if !ok {
		return nil, call.Errorf(call.UnknownOperation, "no handler for this route: the gateway knows no such mount")
	}
	version := 0
	if engine == "kv" {
		if version = m.KV(); version == 0 {
			return nil, call.Errorf(call.VaultUnavailable, "Vault has not said yet whether the mount is KV version 1 or 2; try again")
		}
	}
	q.mount, q.engine = m, engine
	switch {
	case q.slash && q.verb != list: // the name of a folder
		return nil, call.Errorf(call.UnknownOperation, "unsupported path: it ends in a slash")
	case q.http != nil && q.http.Method == http.MethodHead:
		return nil, call.Errorf(call.MethodNotAllowed, "unsupported operation")
	}
	known := false
	for i := range a.table {
		r := &a.table[i]
		if r.engine != engine || r.kv != version || !match(r.pattern, rest, nil) {
			continue
		}
		known = true
		if slices.Contains(r.verbs, q.verb) {
			q.params = filled(r.pattern, rest)
			return r, nil
		}
	}
	if known && q.verb != list {
		return nil, call.Errorf(call.MethodNotAllowed, "unsupported operation")
	}
	return nil, call.Errorf(call.UnknownOperation, "unsupported path")
}
