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

// match fills in the parameters of a pattern.
func match(pattern, path string, params map[string]string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if path == "" {
		have = nil
	}
	for i, p := range want {
		switch {
		case strings.HasPrefix(p, "*"):
			params[p[1:]] = strings.Join(have[min(i, len(have)):], "/")
			return len(have) >= i
		case i >= len(have):
			return false
		case strings.HasPrefix(p, ":"):
			params[p[1:]] = have[i]
		case p != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}

// locate finds the mount that a path begins with, the longest one, and its engine.
func locate(c *op.Catalogue, path string) (engine string, m op.Mount, rest string, ok bool) {
	for _, o := range c.All() {
		for _, one := range o.Mounts() {
			below, found := strings.CutPrefix(path+"/", one.Path+"/")
			if found && (!ok || len(one.Path) > len(m.Path)) {
				engine, m, rest, ok = o.Engine, one, strings.TrimSuffix(below, "/"), true
			}
		}
	}
	return engine, m, rest, ok
}

// find finds the row for a request.
func (a *API) find(q *request) (*route, error) {
	engine, m, rest, ok := locate(a.Catalogue, q.path)
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
		params := map[string]string{}
		if r.engine != engine || r.kv != version || !match(r.pattern, rest, params) {
			continue
		}
		known = true
		if slices.Contains(r.verbs, q.verb) {
			q.params = params
			return r, nil
		}
	}
	if known && q.verb != list {
		return nil, call.Errorf(call.MethodNotAllowed, "unsupported operation")
	}
	return nil, call.Errorf(call.UnknownOperation, "unsupported path")
}
