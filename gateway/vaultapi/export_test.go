package vaultapi

import (
	"time"

	"portcullis/gateway/call"
)

// Begin makes a session and returns its token.
func Begin(s *Sessions, c *call.Caller, ttl time.Duration) (string, error) {
	token, _, err := s.begin(c, ttl)
	return token, err
}

// Sweep forgets what has ended at a time.
func Sweep(s *Sessions, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
}
