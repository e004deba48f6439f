package program

import (
	"regexp"
	"slices"
	"strings"

	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
)

// patterns are the grants whose names have a wildcard or a template, by tenant, table,
// holder and engine. They are found here and not by the policy: a caller has few, and
// none of those who have none pays for them.
type patterns struct {
	by     map[holder][]pattern
	claims []string // that templates name, sorted
}

type holder struct{ tenant, table, name, engine string }

// pattern is the name of a grant in segments. A segment is a text, with templates in
// braces, or the wildcard "+" for any one segment; below is for a "*" at the end, which
// is for everything below the rest, and the list of it.
type pattern struct {
	key      string
	segments []string
	below    bool
	wild     bool // it has a wildcard, so it is for paths as long as itself
}

// template is a part of a grant's name that stands for something of the caller.
var template = regexp.MustCompile(`\{(principal|tenant|role|claims\.[A-Za-z0-9_]+)\}`)

// IsPattern reports whether the name of a grant has a wildcard or a template.
func IsPattern(name string) bool {
	if !strings.ContainsAny(name, "{+*") {
		return false
	}
	return template.MatchString(name) || slices.ContainsFunc(strings.Split(name, "/"), func(s string) bool {
		s = s[strings.LastIndexByte(s, ':')+1:] // the first segment may be behind a mount
		return s == "+" || s == "*"
	})
}

// Templates are the templates in the name of a grant, without their braces.
func Templates(name string) (out []string) {
	for _, m := range template.FindAllStringSubmatch(name, -1) {
		out = append(out, m[1])
	}
	return out
}

func patternsOf(d data.Data) patterns {
	p := patterns{by: map[holder][]pattern{}}
	for t := range d.Tables() {
		for _, kind := range data.Kinds() {
			for name, h := range t.Holders(kind) {
				for engine := range h.Engines() {
					p.add(holder{t.Tenant, kind, name, engine}, h)
				}
			}
		}
	}
	slices.Sort(p.claims)
	p.claims = slices.Compact(p.claims)
	return p
}

// reads are the fields of the input that the templates of claims read.
func (p *patterns) reads() (fields []string) {
	for _, claim := range p.claims {
		fields = append(fields, "principal."+claimed+claim)
	}
	return fields
}

// claimed begins the template of a claim.
const claimed = "claims."

func (p *patterns) add(h holder, holds data.Holder) {
	var keys []string
	for key := range holds.Granted(h.engine) {
		if IsPattern(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		p.by[h] = append(p.by[h], parsePattern(key))
		for _, t := range Templates(key) {
			if claim, ok := strings.CutPrefix(t, claimed); ok {
				p.claims = append(p.claims, claim)
			}
		}
	}
}

func parsePattern(key string) pattern {
	one := pattern{key: key, segments: strings.Split(key, "/")}
	if last := len(one.segments) - 1; one.segments[last] == "*" {
		one.below, one.segments = true, one.segments[:last]
	}
	one.wild = one.below || slices.Contains(one.segments, "+")
	return one
}

// form is the pattern as it is for the path of a resource, and what stands before the
// path in the names of that form: a name may begin with the mount and a colon, where the
// engine has several, and must for another mount than the default one (op.Spec.Names).
func (p pattern) form(r *document.Resource) (_ pattern, before string, ok bool) {
	behind := r.Mount + ":"
	if rest, mounted := strings.CutPrefix(p.key, behind); mounted && slices.Contains(r.Ancestors, behind+r.Path) {
		return parsePattern(rest), behind, true
	}
	return p, "", len(r.Ancestors) > 0 && r.Ancestors[0] == r.Path
}

// matches are the grants that are for the resource of an input.
func (p *patterns) matches(in *document.Input) []document.Match {
	if len(p.by) == 0 || in.Resource.Path == "" {
		return nil
	}
	path := strings.Split(in.Resource.Path, "/")
	var out []document.Match
	one := func(table, name string, roles []string) {
		for _, pt := range p.by[holder{in.Principal.Tenant, table, name, in.Action.Engine}] {
			form, before, ok := pt.form(&in.Resource)
			if !ok {
				continue
			}
			if n := form.match(path, in, roles); n > 0 {
				out = append(out, document.Match{Table: table, Holder: name, Key: pt.key, Prefix: before + strings.Join(path[:n], "/")})
			}
		}
	}
	each(in, one)
	return out
}

// anywhere are the grants that are for some resource of the caller of an input.
func (p *patterns) anywhere(in *document.Input) []document.Match {
	if len(p.by) == 0 {
		return nil
	}
	var out []document.Match
	each(in, func(table, name string, roles []string) {
		for _, pt := range p.by[holder{in.Principal.Tenant, table, name, in.Action.Engine}] {
			empty := func(s string) bool { return s != "+" && len(fill(s, in, roles)) == 0 }
			if !slices.ContainsFunc(pt.segments, empty) {
				out = append(out, document.Match{Table: table, Holder: name, Key: pt.key, Prefix: pt.key})
			}
		}
	})
	return out
}

// each calls for every holder that a caller is, with the roles that the template {role}
// stands for in its grants: every role of a subject, and of a role that one.
func each(in *document.Input, f func(table, name string, roles []string)) {
	f(data.Subjects, in.Principal.ID, in.Principal.Roles)
	for i, role := range in.Principal.Roles {
		f(data.Roles, role, in.Principal.Roles[i:i+1])
	}
}

// match is how many segments of a path the grant names, 0 when it is for another.
// A name with a wildcard is for paths as long as itself, one with only templates for
// everything below as well, as every name without wildcards is.
func (p pattern) match(path []string, in *document.Input, roles []string) int {
	n := len(p.segments)
	listed := p.below && len(path) == n && in.Action.Effect == "list"
	switch {
	case len(path) < n, p.below && len(path) == n && !listed, p.wild && !p.below && len(path) != n:
		return 0
	}
	for i, s := range p.segments {
		if s == "+" {
			continue
		}
		if !slices.Contains(fill(s, in, roles), path[i]) {
			return 0
		}
	}
	if p.below && n == 0 {
		return 1 // everything: it is confined to what is at the top
	}
	return n
}

// fill puts what the caller is in the place of the templates of a segment. A value that is missing, no
// text or no one segment fits nothing.
func fill(segment string, in *document.Input, roles []string) []string {
	if !strings.Contains(segment, "{") {
		return []string{segment}
	}
	out := []string{segment}
	for _, t := range Templates(segment) {
		var next []string
		for _, s := range out {
			for _, v := range valuesOf(t, in, roles) {
				if v != "" && !strings.Contains(v, "/") {
					next = append(next, strings.Replace(s, "{"+t+"}", v, 1))
				}
			}
		}
		out = next
	}
	return out
}

func valuesOf(name string, in *document.Input, roles []string) []string {
	switch name {
	case "principal":
		return []string{in.Principal.ID}
	case "tenant":
		return []string{in.Principal.Tenant}
	case "role":
		return roles
	}
	s, _ := in.Principal.Claims[strings.TrimPrefix(name, claimed)].(string)
	return []string{s}
}

// Names are the names that a grant stands for to a caller, as Vault's own policies write
// them: wildcards stay, templates are what the caller is. A name without either is itself.
func Names(key string, in *document.Input, roles []string) []string {
	out := []string{""}
	for _, segment := range strings.Split(strings.TrimSuffix(key, "/*"), "/") {
		if segment == "*" {
			segment = "+" // everything, of which one segment is the shortest
		}
		var next []string
		for _, s := range out {
			for _, v := range fill(segment, in, roles) {
				next = append(next, strings.TrimPrefix(s+"/"+v, "/"))
			}
		}
		out = next
	}
	return out
}
