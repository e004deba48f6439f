package transform

import (
	"cmp"
	"slices"
	"strings"
)

// phaseNumber gives the steps of a transformation their order; 0 is no phase.
func phaseNumber(name string) int {
	return slices.Index([]string{"normalise", "mask", "filter", "encode", "frame"}, name) + 1
}

func (e *Entry) phase() string { return cmp.Or(e.Phase, "mask") }

// compare is the total order in which modules run: phase, priority, name.
func compare(a, b *Entry) int {
	return cmp.Or(
		cmp.Compare(phaseNumber(a.phase()), phaseNumber(b.phase())),
		cmp.Compare(a.Priority, b.Priority),
		strings.Compare(a.Name, b.Name),
	)
}

// matches tells whether a module may serve the call.
func (s *Select) matches(c *Call) bool {
	return anyGlob(s.Operations, c.Op) && anyGlob(s.Mounts, c.Mount) && anyGlob(s.Subjects, c.Subject)
}

func anyGlob(patterns []string, s string) bool {
	for _, p := range patterns {
		if glob(p, s) {
			return true
		}
	}
	return len(patterns) == 0
}

// glob matches a pattern in which * stands for any text, slashes included.
func glob(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for i := 0; i <= len(s); i++ {
		if glob(rest, s[i:]) {
			return true
		}
	}
	return false
}
