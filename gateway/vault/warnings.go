package vault

import "slices"

// maxWarnings bounds what is kept of the warnings of one call.
const maxWarnings = 8

// Warnings are what Vault has warned of in its answers (field warnings, Vault API), and
// what the operation has to say beside its result. Nothing that was sent is in them.
func (s *Session) Warnings() []string { return s.warned }

// Warn adds a warning of the operation's own.
func (s *Session) Warn(text string) {
	if len(s.warned) < maxWarnings && !slices.Contains(s.warned, text) {
		s.warned = append(s.warned, text)
	}
}

// addVaultWarnings adds warnings of Vault's, without what was sent and what was answered.
func (s *Session) addVaultWarnings(warnings []string, bodies ...[]byte) {
	for _, w := range warnings {
		s.Warn(unsent(clip(w), bodies...))
	}
}
