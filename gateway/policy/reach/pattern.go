package reach

import (
	"regexp"
	"slices"
	"strings"
)

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

// hole is a template in a segment.
var hole = regexp.MustCompile(`\{[^}]*\}`)

// fits reports whether a segment can be what the segment of a pattern stands for: what is
// between its templates is there, in order, and each template is for something.
func fits(pattern, segment string) bool {
	if pattern == "+" {
		return segment != ""
	}
	texts := hole.Split(pattern, -1)
	rest, ok := strings.CutPrefix(segment, texts[0])
	if len(texts) == 1 || !ok {
		return ok && rest == ""
	}
	for _, text := range texts[1 : len(texts)-1] {
		i := strings.Index(rest[min(1, len(rest)):], text)
		if i < 0 || rest == "" {
			return false
		}
		rest = rest[1+i+len(text):]
	}
	return len(rest) > len(texts[len(texts)-1]) && strings.HasSuffix(rest, texts[len(texts)-1])
}

// exact reports whether a pattern is for paths as long as itself: one with "+" and
// without a star at its end.
func exact(s string) bool {
	return !strings.HasSuffix(s, "*") && slices.Contains(segments(s), "+")
}

// starred reports whether a pattern is for what lies below it alone.
func starred(s string) bool { return s == "*" || strings.HasSuffix(s, "/*") }

// covers reports whether every path of pattern b, with what lies below it, is one of
// pattern a's. It may say no where it is so, never the other way round.
func covers(a, b string) bool {
	as, bs := segments(a), segments(b)
	switch {
	case a == b:
		return true
	case len(as) > len(bs), exact(a) && (!exact(b) || len(as) != len(bs)):
		return false
	case starred(a) && len(as) == len(bs) && !starred(b):
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
