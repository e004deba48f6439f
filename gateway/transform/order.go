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

// glob matches a pattern in which * stands for any text, slashes included. Each part
// between two stars is taken where it stands first, so the time is linear in s.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	if last == 0 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1:last] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[last])
}
