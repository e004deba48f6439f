package vaultapi

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/call"
)

// Begin makes a session and returns its token.
func Begin(s *Sessions, c *call.Caller, ttl time.Duration) (string, error) {
	token, _, err := s.begin(context.Background(), c, ttl)
	return token, err
}

// BeginWith is Begin with the session of a token.
func BeginWith(s *Sessions, c *call.Caller, parent string) (string, error) {
	one, _, err := s.live(context.Background(), parent)
	if one == nil {
		return "", errors.Join(err, call.Errorf(call.NotFound, "no session"))
	}
	token, _, err := s.begin(context.Background(), c, 0, append([]string{s.name(parent)}, one.parents...)...)
	return token, err
}

// Sweep forgets what has ended at a time.
func Sweep(s *Sessions, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
}

// Renew prolongs the session of a token.
func Renew(s *Sessions, token string, ttl time.Duration) (time.Duration, error) {
	ctx := context.Background()
	one, _, err := s.live(ctx, token)
	if one == nil {
		return 0, errors.Join(err, call.Errorf(call.NotFound, "no session"))
	}
	return s.renew(ctx, token, one, ttl)
}

// Revoke ends the session of a token.
func Revoke(s *Sessions, token string) error {
	ctx := context.Background()
	one, _, err := s.live(ctx, token)
	if one == nil {
		return err
	}
	return s.revoke(ctx, token, one)
}
