package policy

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"portcullis/gateway/call"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
)

// Named is something that the data grant by its name: a key, a role, or a path
// and everything below it.
type Named struct {
	Engine string
	Name   string   // a segment may be the wildcard + of Vault's policies
	Ops    []string // empty for every operation of the engine
}

// Granted lists what the active data grant a caller by name, of its own and of its
// roles, at a time. A caller's own prefix needs no grant and is not among them.
func (e *Engine) Granted(c *call.Caller, now time.Time) []Named {
	s := e.of(c)
	in := &document.Input{Principal: document.Principal{ID: c.Subject, Tenant: c.Tenant, Roles: c.Roles, Claims: c.Claims}}
	return held(s.Data.Table(c.Tenant), c, now, func(key string, roles ...string) []string { return s.Names(key, in, roles) })
}

// Written are those of Granted by the names that the data give them, with wildcards and
// templates.
func (e *Engine) Written(c *call.Caller, now time.Time) []Named {
	return held(e.of(c).Data.Table(c.Tenant), c, now, func(key string, _ ...string) []string { return []string{key} })
}

// held are the grants of a caller and of its roles. resolve gives the names that the name
// of a grant stands for, with the roles that its template {role} does.
func held(t data.Table, c *call.Caller, now time.Time, resolve func(key string, roles ...string) []string) []Named {
	list := named(t.Holder(data.Subjects, c.Subject), now, func(key string) []string { return resolve(key, c.Roles...) })
	for _, role := range c.Roles {
		list = append(list, named(t.Holder(data.Roles, role), now, func(key string) []string { return resolve(key, role) })...)
	}
	return list
}

// ClaimNames are the claims that the active data have as templates in names of grants,
// sorted. Version 1 of the data has none.
func (e *Engine) ClaimNames() []string { return e.active.Load().Claims() }

// Claims are a caller's values of those that ClaimNames names. Only a name is among them: a
// list, a number, and any text that a path or a policy of Vault could take for more than
// one name are left out.
func (e *Engine) Claims(c *call.Caller) map[string]string {
	var names map[string]string
	for _, claim := range e.of(c).Claims() {
		if text, _ := c.Claims[claim].(string); isName(text) {
			if names == nil {
				names = map[string]string{}
			}
			names[claim] = text
		}
	}
	return names
}

// isName reports whether a claim is one segment of a path and nothing else: what
// call.ParseSubject takes, and also letters of any language with spaces between them, as
// names of groups have.
func isName(s string) bool {
	plain := strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return 'x'
		}
		return r
	}, s)
	_, err := call.ParseSubject(plain)
	return err == nil && len(s) <= call.MaxName && strings.TrimSpace(s) == s
}

// Subjects are those that the active data name, by tenant.
func (e *Engine) Subjects() map[string][]string {
	all := map[string][]string{}
	for t := range e.active.Load().Data.Tables() {
		all[t.Tenant] = t.Names(data.Subjects)
	}
	return all
}

// Holders are callers that hold, together, all that the active data grant: one for each
// subject, and one of no name for each role.
func (e *Engine) Holders() (list []call.Caller) {
	for t := range e.active.Load().Data.Tables() {
		for _, subject := range t.Names(data.Subjects) {
			list = append(list, call.Caller{Tenant: t.Tenant, Subject: subject})
		}
		for _, role := range t.Names(data.Roles) {
			list = append(list, call.Caller{Tenant: t.Tenant, Roles: []string{role}})
		}
	}
	return list
}

// named are the grants of one subject or role. resolve gives the names that the name of
// a grant stands for.
func named(h data.Holder, now time.Time, resolve func(string) []string) (list []Named) {
	for engine := range h.Engines() {
		for name, terms := range h.Granted(engine) {
			ops, all := terms.Ops()
			if terms.Ended(now.Unix()) || !all && len(ops) == 0 {
				continue
			}
			for _, n := range resolve(name) {
				list = append(list, Named{Engine: engine, Name: n, Ops: ops})
			}
		}
	}
	return list
}

// Covers reports whether the grant is for an operation of its engine.
func (n Named) Covers(operation string) bool {
	return len(n.Ops) == 0 || slices.Contains(n.Ops, operation)
}
