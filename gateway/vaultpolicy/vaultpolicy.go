// Package vaultpolicy writes the Vault policy of one subject: what the gateway's
// data grant it, and nothing else, in Vault's own language (HCL). It is made from
// the data that decisions are made from, and from what each operation declares to
// need, so that it follows both.
//
// The policy is an upper bound. What depends on more than a name, such as a time
// of day or a team's refusal, only the gateway can decide.
package vaultpolicy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// Subject is whose policy it is, and what is known of it.
type Subject struct {
	Caller    *call.Caller
	Granted   []policy.Named    // by name, see policy.Engine.Granted
	Callable  func(*op.Op) bool // whether some call could be allowed; nil for all
	Catalogue *op.Catalogue
	Engine    string // whose operations it is for, empty for all
}

// Rights are the rules of any caller for operations on an engine, or on all when it is empty.
type Rights func(who *call.Caller, engine string) Rules

// All are the rules of a caller for all operations.
func (r Rights) All(who *call.Caller) Rules { return r(who, "") }

// Of returns the rights of callers. Scopes are a credential's and not a caller's, so they
// are made as if it had them all. Claims are in names as far as they are clean.
func Of(c *op.Catalogue, e *policy.Engine) Rights {
	return func(who *call.Caller, engine string) Rules {
		all := *who
		all.Scopes = []string{string(op.Read), string(op.List), string(op.Write), string(op.Delete)}
		all.Expires, all.AuthTime = time.Time{}, time.Time{} // the policy outlives a credential
		clean := all
		clean.Claims = map[string]any{}
		for name, value := range e.Claims(who) {
			clean.Claims[name] = value
		}
		s := Subject{
			Caller: &all, Catalogue: c, Engine: engine, Granted: e.Granted(&clean, time.Now()),
			Callable: func(o *op.Op) bool { return e.Callable(context.Background(), &all, o) },
		}
		return s.Rules()
	}
}

// Rules are paths in Vault with their capabilities.
type Rules map[string]map[string]bool

// Rules returns what the subject needs.
func (s Subject) Rules() Rules {
	r := Rules{}
	for _, o := range s.Catalogue.All() {
		if s.Engine != "" && s.Engine != o.Engine {
			continue
		}
		at := s.resources(o)
		if len(at) == 0 || len(o.Needs)+len(o.NeedsV1) == 0 {
			continue // the policy is asked only where there is something to allow, which costs much more
		}
		if s.Callable != nil && !s.Callable(o) {
			continue
		}
		for _, n := range at {
			needs := o.Needs
			if o.Engine == "kv" && n.mount.KV() == 1 {
				needs = o.NeedsV1
			}
			for _, need := range needs {
				r.add(o, need, n)
			}
		}
	}
	return r
}

// resources are the names that an operation may be called with. One that names
// nothing in Vault is there once, with no name.
func (s Subject) resources(o *op.Op) (list []resource) {
	mounts := o.Mounts()
	if mounts == nil {
		mounts = []op.Mount{{}}
	}
	// A lease is of a role, although renewing it does not name the role.
	unnamed := o.Engine != "db" && o.Engine != "creds" && !slices.ContainsFunc(o.Needs, named)
	for _, m := range mounts {
		own := m.Own(s.Caller)
		switch {
		case unnamed:
			list = append(list, resource{m, ""})
		case o.Engine == "kv" && (m.Path == o.Mount || !own.IsZero()):
			list = append(list, resource{m, own.String()})
		}
	}
	for _, g := range s.Granted {
		if m, name := o.Named(g.Name); !unnamed && g.Engine == o.Engine && g.Covers(o.Name) && literal(name) {
			list = append(list, resource{m, name})
		}
	}
	return list
}

// resource is a name in a mount.
type resource struct {
	mount op.Mount
	name  string
}

// literal reports whether a name stands for itself alone in a path of a policy, where
// a segment + is any one, * at the end any rest, and {{ begins a template (Vault docs,
// concepts/policies). One that does not would allow more than is granted, so it is left out.
func literal(name string) bool {
	return !strings.HasSuffix(name, "*") && !strings.Contains(name, "{{") && !slices.Contains(strings.Split(name, "/"), "+")
}

func named(n op.Need) bool { return strings.Contains(n.Path, "{name}") }

// add allows what is needed. A name of KV stands for everything below it as well.
func (r Rules) add(o *op.Op, need op.Need, at resource) {
	path, whole := strings.CutPrefix(strings.ReplaceAll(need.Path, "{name}", at.name), "/")
	if !whole {
		path = at.mount.Path + "/" + path
	}
	r.allow(path, need.Can)
	if o.Engine == "kv" {
		r.allow(path+"/*", need.Can)
	}
}

func (r Rules) allow(path string, can []string) {
	if r[path] == nil {
		r[path] = map[string]bool{}
	}
	for _, c := range can {
		r[path][c] = true
	}
}

// Beyond are the rules that go beyond others. within reports whether these allow all
// that the others do.
func (r Rules) Beyond(others Rules) (more Rules, within bool) {
	more, within = Rules{}, true
	for path, can := range r {
		for c := range can {
			if !others[path][c] {
				more.allow(path, []string{c})
			}
		}
	}
	for path, can := range others {
		for c := range can {
			within = within && r[path][c]
		}
	}
	return more, within
}

// HCL writes the rules as a policy (Vault docs, concepts/policies); equal rules
// give equal text.
func (r Rules) HCL() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(r)) {
		quoted := slices.Sorted(maps.Keys(r[path]))
		for i, c := range quoted {
			quoted[i] = fmt.Sprintf("%q", c)
		}
		fmt.Fprintf(&b, "path %q {\n  capabilities = [%s]\n}\n", path, strings.Join(quoted, ", "))
	}
	return b.String()
}
