package mcp

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest is the name that a mistaken one was meant for, empty when none is close. What
// the words mean is looked at first, then one or two wrong letters, then how much of the
// spelling is shared.
func nearest(name string, names []string) string {
	name = strings.ToLower(name[:min(len(name), 64)])
	if best := closest(names, 0.5, func(n string) float64 { return alike(words(name), words(n)) }); best != "" {
		return best
	}
	if best := closest(names, -2.5, func(n string) float64 { return -float64(levenshtein.ComputeDistance(letters(name), letters(n))) }); best != "" {
		return best
	}
	return closest(names, 0.5, func(n string) float64 { return alike(pairs(name), pairs(n)) })
}

// closest is the one name that scores more than the others and more than least.
func closest(names []string, least float64, score func(string) float64) (best string) {
	for _, n := range names {
		switch s := score(n); {
		case s > least:
			best, least = n, s
		case s == least:
			best = "" // there are two, so neither is meant for sure
		}
	}
	return best
}

// alike is the share of two lists that is in both (Dice's coefficient).
func alike(a, b []string) float64 {
	left := slices.Clone(a)
	shared := 0
	for _, s := range b {
		if i := slices.Index(left, s); i >= 0 {
			left = slices.Delete(left, i, i+1)
			shared++
		}
	}
	return 2 * float64(shared) / float64(len(a)+len(b)+1)
}

// words are the words of a name, in the words of the catalogue.
func words(name string) (out []string) {
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == '/' || r == ' ' }) {
		switch w {
		case "get", "fetch", "show", "retrieve":
			w = "read"
		case "set", "put", "create", "update", "store", "save", "add":
			w = "write"
		case "ls":
			w = "list"
		case "remove", "rm":
			w = "delete"
		case "secret", "secrets":
			w = "kv"
		case "vault", "tool":
			continue
		}
		out = append(out, w)
	}
	return out
}

// letters is a name without what separates its words.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

// pairs are the neighbouring letters and digits of a name.
func pairs(name string) (out []string) {
	name = letters(name)
	for i := 1; i < len(name); i++ {
		out = append(out, name[i-1:i+1])
	}
	return out
}
