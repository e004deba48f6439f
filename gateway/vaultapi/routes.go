package vaultapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

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
	// text and typed stand in the place of args and reply, and make no maps: for the requests
	// that clients send most.
	text  func(*request) ([]byte, error)
	typed func(*op.Result) (*reply, error)
}

// arguments are the operation's, one JSON object.
func (row *route) arguments(q *request) ([]byte, error) {
	if row.text != nil {
		return row.text(q)
	}
	args, err := row.args(q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(args)
}

// answer is what Vault would say in the place of the operation's answer.
func (row *route) answer(q *request, res *op.Result) (*reply, error) {
	if res.Deliver == call.Wrapped {
		if a := wrapped(res); a != nil {
			return a, nil
		}
	}
	if row.typed != nil {
		return row.typed(res)
	}
	out, err := decode(res)
	if err != nil {
		return nil, err
	}
	a := row.reply(q, out)
	a.Warnings = out.warnings()
	return a, nil
}

// routes is the table of operations. The first row that fits holds.
func (a *API) routes() []route {
	return slices.Concat(kv2Routes(), kv1Routes(), transitRoutes(), databaseRoutes(), a.sshRoutes(), pkiRoutes(), totpRoutes(), credsRoutes())
}

func verbs(v ...verb) []verb { return v }

// match reports whether a path fits a pattern, and fills in the pattern's parameters unless
// params is nil. It allocates nothing: each request is held against every row.
func match(pattern, path string, params *parameters) bool {
	rest, more := path, path != ""
	for want, left := pattern, true; left; {
		var p, have string
		p, want, left = strings.Cut(want, "/")
		if strings.HasPrefix(p, "*") {
			params.set(p[1:], rest)
			return true
		}
		if !more {
			return false
		}
		have, rest, more = strings.Cut(rest, "/")
		switch {
		case strings.HasPrefix(p, ":"):
			params.set(p[1:], have)
		case p != have:
			return false
		}
	}
	return !more
}

// parameters are what the parameters of a pattern stand for; no pattern has more.
type parameters struct {
	names, values [2]string
	n             int
}

// set sets one. Nil keeps none.
func (p *parameters) set(name, value string) {
	if p != nil {
		p.names[p.n], p.values[p.n] = name, value
		p.n++
	}
}

// get is what one stands for, "" for one that the pattern does not have.
func (p *parameters) get(name string) string {
	if i := slices.Index(p.names[:p.n], name); i >= 0 {
		return p.values[i]
	}
	return ""
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
			q.params = parameters{}
			match(r.pattern, rest, &q.params)
			return r, nil
		}
	}
	if known && q.verb != list {
		return nil, call.Errorf(call.MethodNotAllowed, "unsupported operation")
	}
	return nil, call.Errorf(call.UnknownOperation, "unsupported path")
}
