package reach

import (
	"reflect"
	"slices"
	"strings"
)

// answer is whether one value of a term is looser than another, as far as it is known.
type answer int

const (
	unknown answer = iota
	yes
	no
)

func answerOf(is bool) answer {
	if is {
		return yes
	}
	return no
}

// looser reports whether a term that was a and is b asks for less. A value that is nil
// is not there.
func looser(name string, a, b any) answer {
	switch {
	case name == "deliver":
		return answerOf(delivery(b) < delivery(a))
	case name == "expires_s" || strings.HasPrefix(name, "max_"), name == "wrap_ttl_s":
		return answerOf(upper(b) > upper(a))
	case strings.HasPrefix(name, "min_"):
		return answerOf(number(b) < number(a))
	case name == "transforms":
		return all(list(a), list(b))
	case name == "fields":
		return fewer(a, b)
	case b == nil:
		return yes // whatever it asked for, nobody does any more
	case a == nil:
		return no
	}
	return unknown
}

func delivery(v any) int {
	s, _ := v.(string)
	return max(slices.Index([]string{"plain", "masked", "wrapped"}, s), 0)
}

// upper is an upper bound, of which none, and 0, is no bound at all.
func upper(v any) float64 {
	if n := number(v); n > 0 {
		return n
	}
	return 1 << 62
}

// all is looser when something that was asked for is not any more.
func all(was, is []any) answer {
	if len(beyondList(was, is)) > 0 {
		return yes
	}
	return no
}

// fewer is looser when fields are shown that were not; without a list, all are.
func fewer(was, is any) answer {
	switch {
	case is == nil:
		return yes
	case was == nil:
		return no
	case reflect.DeepEqual(was, is):
		return no
	}
	return answerOf(len(beyondList(list(is), list(was))) > 0)
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// beyondList are the elements of a list that another one has not.
func beyondList(a, b []any) (out []any) {
	for _, v := range a {
		if !slices.ContainsFunc(b, func(w any) bool { return reflect.DeepEqual(v, w) }) {
			out = append(out, v)
		}
	}
	return out
}
