package inspect

import (
	"strconv"
	"strings"
	"unicode"
)

// Shown is a text that somebody else has chosen, for a line on a terminal. One that
// could be taken for more than a word, or that a terminal does not print as it is, is
// quoted as in Go: what is in quotes is the name, whatever it says.
func Shown(s string) string {
	if s == "" {
		return "-"
	}
	if s == "-" || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == '"' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// shownAll are texts behind each other.
func shownAll(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Shown(s)
	}
	return strings.Join(out, ", ")
}
