package reach

import "strings"

// A pattern is the name of a grant: a name or path of segments, of which "+" and
// templates in braces stand for any one segment. A path covers everything below it; a
// "*" at its end says so.

// segments are those of a pattern or a path, without a star at the end.
func segments(s string) []string {
	s = strings.Trim(strings.TrimSuffix(s, "*"), "/")
	if s == "" {
		return nil
	}
	return strings.Split(s, "/")
}

// wild reports whether a segment stands for more than one name.
func wild(segment string) bool {
	return segment == "+" || strings.Contains(segment, "{") && strings.Contains(segment, "}")
}

// covers reports whether every path of pattern b is, or lies below, one of pattern a.
func covers(a, b string) bool {
	as, bs := segments(a), segments(b)
	if len(as) > len(bs) {
		return false
	}
	for i, s := range as {
		if s != bs[i] && s != "+" {
			return false
		}
	}
	return true
}

// meets reports whether a path, which may itself be a pattern, and a pattern have
// something in common: one lies below the other.
func meets(a, b string) bool {
	as, bs := segments(a), segments(b)
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] && !wild(as[i]) && !wild(bs[i]) {
			return false
		}
	}
	return true
}
