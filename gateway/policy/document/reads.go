package document

import (
	"slices"
	"strings"
)

// Reads are the fields of the input that a policy can read, as dotted paths
// without "input". The path "" is the whole input. Sorted, without duplicates.
type Reads struct {
	paths  []string
	groups map[string]bool
}

// NewReads takes the paths in any order.
func NewReads(paths []string) Reads {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	r := Reads{paths: slices.Compact(paths), groups: map[string]bool{}}
	for _, g := range []string{"request", "principal.auth", "args", "args.values", "context", "context.source_ip"} {
		r.groups[g] = r.overlaps(g)
	}
	return r
}

// Everything is what a policy reads that has not been looked at.
func Everything() Reads { return NewReads([]string{""}) }

// Paths are the paths. Do not change them.
func (r Reads) Paths() []string { return r.paths }

// Any reports whether the field, or anything in or around it, is read.
func (r Reads) Any(path string) bool {
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
