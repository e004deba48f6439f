package native

import (
	"strconv"
	"strings"
)

// selection says which values of a document are meant.
type selection struct {
	pointers [][]string
	keys     []string
}

// newSelection parses JSON pointers (RFC 6901), in which a segment * stands for
// any, and patterns of keys, in which * stands for any text; case is ignored.
func newSelection(pointers, keys []string) *selection {
	s := &selection{}
	for _, p := range pointers {
		segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
		for i := range segments {
			segments[i] = strings.ReplaceAll(strings.ReplaceAll(segments[i], "~1", "/"), "~0", "~")
		}
		s.pointers = append(s.pointers, segments)
	}
	for _, k := range keys {
		s.keys = append(s.keys, strings.ToLower(k))
	}
	return s
}

// everything tells that nothing was named, which means each scalar value.
func (s *selection) everything() bool { return len(s.pointers) == 0 && len(s.keys) == 0 }

func index(n int) string { return strconv.Itoa(n) }

// matches tells whether the value at path is selected. member is false for
// elements of arrays, which have no key.
func (s *selection) matches(path []string, member bool) bool {
	for _, p := range s.pointers {
		if matchPointer(p, path) {
			return true
		}
	}
	if !member || len(s.keys) == 0 {
		return false
	}
	key := strings.ToLower(path[len(path)-1])
	for _, k := range s.keys {
		if matchKey(k, key) {
			return true
		}
	}
	return false
}

func matchPointer(pointer, path []string) bool {
	if len(pointer) != len(path) {
		return false
	}
	for i, p := range pointer {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}

// matchKey matches a pattern in linear time: each literal part is taken at its
// first place, the last one at the end.
func matchKey(pattern, key string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == key
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(key, first) || len(key) < len(first)+len(last) || !strings.HasSuffix(key, last) {
		return false
	}
	key = key[len(first) : len(key)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(key, p)
		if !found {
			return false
		}
		key = rest
	}
	return true
}
