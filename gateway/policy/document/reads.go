package document

import (
	"slices"
	"strings"
	"time"
)

// Reads are the fields of the input that a policy can read, as dotted paths
// without "input", and the zone that it reads the time in. The path "" is the whole
// input. Sorted, without duplicates.
type Reads struct {
	paths  []string
	groups map[string]bool
	zone   *time.Location // nil for UTC
}

// NewReads takes the paths in any order.
func NewReads(paths []string) Reads {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	r := Reads{paths: slices.Compact(paths), groups: map[string]bool{}}
	for _, g := range []string{
		"request", "request.id", "request.reason", "principal.auth", "principal.claims", "principal.acting", "principal.actors", "resource.segments", "resource.relative",
		"resource.relative_segments", "resource.matches", "resource.metadata", "args", "args.values", "args.fields", "args.items",
		"context", "context.source_ip", "context.client", "context.session", "context.time.date", "context.time.local",
		"context.time.minute_utc",
	} {
		r.groups[g] = r.overlaps(g)
	}
	return r
}

// Everything is what a policy reads that has not been looked at.
func Everything() Reads { return NewReads([]string{""}) }

// In is the same in a zone.
func (r Reads) In(zone *time.Location) Reads {
	r.zone = zone
	return r
}

// Paths are the paths. Do not change them.
func (r Reads) Paths() []string { return r.paths }

// Names are the names of the fields that are read at a path, when no more is read there
// than some fields by their names, else nil.
func (r Reads) Names(path string) (names []string) {
	for _, p := range r.paths {
		switch {
		case within(path, p):
			return nil
		case within(p, path):
			name, _, _ := strings.Cut(p[len(path)+1:], ".")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Any reports whether the field, or anything in or around it, is read.
func (r Reads) Any(path string) bool {
	if len(r.paths) > 0 && r.paths[0] == "" { // the whole input, as the log of decisions
		return true
	}
	if v, ok := r.groups[path]; ok {
		return v
	}
	return r.overlaps(path)
}

func (r Reads) overlaps(path string) bool {
	return slices.ContainsFunc(r.paths, func(p string) bool { return within(p, path) || within(path, p) })
}

// Within reports whether the dotted path a is b or lies in it.
func Within(a, b string) bool { return within(a, b) }

// within reports whether path a is b or lies in it.
func within(a, b string) bool {
	return b == "" || a == b || strings.HasPrefix(a, b) && a[len(b)] == '.'
}
