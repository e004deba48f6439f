package leases

import (
	"context"
	"errors"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
)

// renewOrRevoke revokes a lease that the policy does not allow any more to the credential
// that it was issued to, and renews a lease that would otherwise expire soon.
func (j *Janitor) renewOrRevoke(ctx context.Context, s *callers.State, e Entry) error {
	if !j.mayLive(ctx, e) {
		return j.revokeEntry(ctx, s.Key(), e)
	}
	last := s.LastCall().Unix()
	outdated := j.Rules.Idle > 0 && last-e.Seen > int64(j.Rules.Idle/(2*time.Second))
	e.Seen = max(e.Seen, last)
	now := time.Now().Unix()
	increment := j.increment(e, now)
	if increment == 0 {
		if outdated {
			return j.Registry.Update(ctx, s.Key(), e)
		}
		return nil
	}
	l, _, err := j.Registry.RenewLease(ctx, s.Key(), e.Lease, int(increment))
	if call.Is(err, call.NotFound) {
		return j.Registry.leases(s.Key()).remove(ctx, e)
	}
	if err != nil {
		return err
	}
	e.Expires = now + int64(l.Duration)
	if int64(l.Duration) >= increment {
		e.Renewed = now // a shorter TTL means that Vault's maximum is near: the TTL of before stays the measure
	}
	return j.Registry.Update(ctx, s.Key(), e)
}

// mayLive reports whether a lease may live on.
func (j *Janitor) mayLive(ctx context.Context, e Entry) bool {
	if e.By == nil {
		return true
	}
	if j.Rules.Ended != nil && j.Rules.Ended(e.By) {
		return false
	}
	return j.Rules.Allowed == nil || j.Rules.Allowed(ctx, e.By, e.held())
}

// increment is the TTL to renew a lease with, in seconds, 0 for no renewal.
func (j *Janitor) increment(e Entry, now int64) int64 {
	ttl, left := e.Expires-e.Renewed, e.Expires-now
	if !j.Rules.Renew || !e.Renewable || left > ttl/3+int64(j.Rules.Every/time.Second) {
		return 0
	}
	if e.Ends > 0 {
		ttl = min(ttl, e.Ends-now)
	}
	if ttl <= left {
		return 0 // a renewal would not lengthen it
	}
	return ttl
}

// renewTokens renews the tokens that a caller's leases depend on, also those of other
// replicas and of before a restart.
func (j *Janitor) renewTokens(ctx context.Context, s *callers.State) error {
	f := j.Registry.tokens(s.Key())
	entries, err := f.entries(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range entries {
		now := time.Now().Unix()
		if e.Expires-now > (e.Expires-e.Renewed)*2/3 {
			continue
		}
		ttl, err := j.Callers.RenewToken(ctx, s.Key(), e.Accessor)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		s.TokenRenewed(e.Accessor, ttl)
		e.Renewed, e.Expires = now, now+int64(ttl/time.Second)
		problems = append(problems, ignoreConflict(f.write(ctx, e)))
	}
	return errors.Join(problems...)
}
