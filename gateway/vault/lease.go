package vault

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/call"
)

// Lease is a credential's life, as Vault reports it.
type Lease struct {
	ID        string `json:"lease_id"`
	Duration  int    `json:"lease_duration"` // seconds
	Renewable bool   `json:"renewable"`
}

// SetLease keeps what the reply says about its lease.
func (l *Lease) SetLease(got Lease) { *l = got }

// Held is a lease that the caller holds.
type Held struct {
	ID      string
	Role    string
	Issued  time.Time
	Expires time.Time
}

// Adopt makes a lease that was just minted the caller's: it is cut down to what
// the grant allows and noted in the book. When either is impossible the lease is
// revoked, so that nothing lives that nobody owns.
func (s *Session) Adopt(ctx context.Context, l Lease, role string) (Lease, error) {
	now := time.Now()
	l, err := s.shorten(ctx, l, s.grant.Terms().MaxTTL)
	if err == nil {
		err = s.writeNote(ctx, note{
			Lease: l.ID, Role: role, Issued: now.Unix(), Expires: now.Unix() + int64(l.Duration),
		})
		if err == nil {
			return l, nil
		}
		err = call.Wrap(call.VaultError, "the lease cannot be noted, so it is not given out", err)
	}
	if rerr := s.Discard(context.WithoutCancel(ctx), l.ID); rerr != nil {
		e := call.AsError(err)
		return l, &call.Error{Code: e.Code, Msg: e.Msg, Err: errors.Join(err, rerr)}
	}
	return l, err
}

// shorten renews a lease for less time when it is longer than limit: Vault takes
// the increment as the life that is left (sys/leases/renew, Vault API).
func (s *Session) shorten(ctx context.Context, l Lease, limit time.Duration) (Lease, error) {
	secs := int(limit / time.Second)
	if limit <= 0 || l.Duration <= secs {
		return l, nil
	}
	if secs > 0 && l.Renewable {
		short, err := s.renew(ctx, l.ID, secs)
		if err != nil || short.Duration <= secs {
			return short, err
		}
	}
	return l, call.Errorf(call.Forbidden, "the lease cannot be made as short as the policy asks")
}

// Renew prolongs a lease of the caller's. With an increment of 0 Vault chooses.
// The grant's longest life counts from when the lease was issued.
func (s *Session) Renew(ctx context.Context, id string, increment int) (Lease, error) {
	n, err := s.readNote(ctx, noteName(id))
	if err != nil {
		return Lease{}, err
	}
	left, err := s.left(n)
	if err != nil {
		return Lease{}, err
	}
	if left > 0 {
		increment = min(increment, int(left/time.Second))
	}
	l, err := s.renew(ctx, id, increment)
	if call.Is(err, call.NotFound) {
		_ = s.dropNote(ctx, id) // the next listing tries again
	}
	if err != nil {
		return Lease{}, err
	}
	if l, err = s.shorten(ctx, l, left); err != nil {
		return Lease{}, err
	}
	n.Expires = time.Now().Unix() + int64(l.Duration)
	if err = s.writeNote(ctx, n); call.Is(err, call.CASMismatch) {
		err = nil // another renewal at the same time has noted the same
	}
	return l, err
}

// left is how long the grant lets a lease live from now on, 0 for no cap.
func (s *Session) left(n note) (time.Duration, error) {
	limit := s.grant.Terms().MaxTTL
	if limit <= 0 {
		return 0, nil
	}
	left := time.Until(time.Unix(n.Issued, 0).Add(limit))
	if left < time.Second {
		return 0, call.Errorf(call.Forbidden, "the lease has lived as long as the policy allows")
	}
	return left, nil
}

// Revoke ends a lease of the caller's and returns when the credential is gone.
func (s *Session) Revoke(ctx context.Context, id string) error {
	if _, err := s.readNote(ctx, noteName(id)); err != nil {
		return err
	}
	if err := s.Discard(ctx, id); err != nil {
		return err
	}
	_ = s.dropNote(ctx, id) // the lease is gone; its note expires like it would have
	return nil
}

// Leases are the caller's own.
func (s *Session) Leases(ctx context.Context) ([]Held, error) {
	notes, err := s.notes(ctx)
	held := make([]Held, 0, len(notes))
	for _, n := range notes {
		held = append(held, Held{
			ID: n.Lease, Role: n.Role, Issued: time.Unix(n.Issued, 0).UTC(), Expires: time.Unix(n.Expires, 0).UTC(),
		})
	}
	return held, err
}

// Discard revokes a lease that this very session has minted, whoever owns it. For
// a lease that a caller names there is Revoke.
func (s *Session) Discard(ctx context.Context, id string) error {
	return s.lease(ctx, "revoke", map[string]any{"lease_id": id, "sync": true}, nil)
}

func (s *Session) renew(ctx context.Context, id string, increment int) (l Lease, err error) {
	err = s.lease(ctx, "renew", map[string]any{"lease_id": id, "increment": increment}, &l)
	return l, err
}

// lease sends a request to sys/leases (Vault API) about a lease of the granted
// mount; one of any other mount is not found.
func (s *Session) lease(ctx context.Context, verb string, body map[string]any, out any) error {
	id, _ := body["lease_id"].(string)
	p, err := call.ParsePath(id)
	mount, merr := call.ParsePath(s.grant.Terms().Resource.Mount)
	if err != nil || merr != nil || !p.Within(mount) {
		return call.Errorf(call.NotFound, "not found")
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.send(ctx, request{method: put, path: "sys/leases/" + verb, body: raw}, out)
}
