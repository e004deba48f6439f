package failclosed

import (
	"reflect"
	"slices"
	"strings"
)

// fields: an input from which something was taken never allows more. The gateway
// refuses such an input before the policy sees it, so this is what the rules are
// worth by themselves.
func (r *runner) fields(in raw) {
	all, allowed := fields(in), r.allows(r.alone, in)
	for _, path := range all {
		for _, c := range changes() {
			r.spoilt(in, allowed, []spoil{{path, c}})
		}
	}
}

// pairs spoils two fields at once.
func (r *runner) pairs(in raw) {
	all := slices.DeleteFunc(fields(in), func(path []string) bool { return !r.read(spoil{path: path}) }) // there are many pairs
	allowed := r.allows(r.alone, in)
	for i, a := range all {
		for _, b := range all[i+1:] {
			for _, c := range changes() {
				r.spoilt(in, allowed, []spoil{{a, c}, {b, changes()[0]}})
			}
		}
	}
}

// spoil is a change of one field.
type spoil struct {
	path []string
	change
}

// String says what was done to which field.
func (s spoil) String() string { return strings.Join(s.path, ".") + " is " + s.name }

// spoilt tries one input that is spoilt; allowed says what the whole one is.
func (r *runner) spoilt(in raw, allowed bool, list []spoil) {
	less, what := in, ""
	for _, s := range list {
		before := at(less, s.path)
		less = less.along(s.path)
		s.apply(less, s.path)
		if reflect.DeepEqual(before, at(less, s.path)) {
			return // nothing to spoil
		}
		what += " and " + s.String()
	}
	what = strings.TrimPrefix(what, " and ")
	r.count("fields")
	is := allowed
	if slices.ContainsFunc(list, r.read) {
		is = r.allows(r.alone, less)
	}
	if is && !allowed && !emptied(list) {
		r.fail("fields", nil, "allowed when "+what+": "+describe(in), "read every field positively")
	}
	if is && decides(in, list) {
		r.fail("fields", nil, "still allowed when "+what+": "+describe(in), "read every field that decides")
	}
	if is && r.newest != nil && len(r.Rules) > 0 {
		r.newestAgrees(in, less, what)
	}
}

// read reports whether a rule can read what was spoilt. What none can read changes no
// answer, which the cache of decisions goes by as well.
func (r *runner) read(s spoil) bool { return r.Program.Reads().Any(strings.Join(s.path, ".")) }

// emptied reports whether a field got an empty value of its own type, which is
// another question rather than a spoilt one.
func emptied(list []spoil) bool {
	for _, s := range list {
		if s.name == "empty" {
			return true
		}
	}
	return false
}

// newestAgrees: a rule of Rego v1 that a missing field switches off would still
// speak if it were written in the newest Rego.
func (r *runner) newestAgrees(in, less raw, what string) {
	is := r.answer(r.full, less)
	if !is.Allow {
		return
	}
	if newest := r.answer(r.newest, less); !newest.Allow && len(newest.Reasons) > 0 {
		r.fail("fails-open", r.where(newest, is), "the rule is skipped, which allows, when "+what+": "+describe(in),
			"put `import rego.v2` at the top of the file")
	}
}

// decides reports whether a spoilt field is one without which nothing may be
// allowed.
func decides(in raw, list []spoil) bool {
	public := at(in, []string{"action", "public"}) == true
	for _, s := range list {
		switch strings.Join(s.path, ".") {
		case "action", "action.engine", "principal", "principal.id":
			return true
		case "action.public":
			if s.name != "empty" { // false only asks for a scope
				return true
			}
		case "action.effect", "principal.scopes":
			if !public {
				return true
			}
		case "resource", "resource.ancestors":
			found, _ := at(in, []string{"resource", "matches"}).([]any)
			if named(in) && len(found) == 0 && s.name != "of another type" {
				return true
			}
		}
	}
	return false
}
