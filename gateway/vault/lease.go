package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// LeaseID is the lease's id, empty for no lease.
func (l *Lease) LeaseID() string { return l.ID }

// Expires is when a lease that has just been granted ends, RFC 3339.
func (l Lease) Expires() string {
	return time.Now().Add(time.Duration(l.Duration) * time.Second).UTC().Format(time.RFC3339)
}

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
	s.holder.adopted()
	s.holder.noting(s.place, noteName(l.ID))
	defer s.holder.release(s.place)
	ctx = context.WithoutCancel(ctx) // the lease is there, whoever has left
	limit := s.grant.Terms().MaxTTL
	l, err := s.shorten(ctx, l, limit)
	if err == nil {
		if err = s.page().write(ctx, s.newNote(l, role)); err == nil {
			return l, nil
		}
		err = call.Wrap(call.VaultError, "the lease cannot be noted, so it is not given out", err)
	}
	s.holder.noting(s.place, "")
	if rerr := s.Discard(ctx, l.ID); rerr != nil {
		e := call.AsError(err)
		return l, &call.Error{Code: e.Code, Msg: e.Msg, Err: errors.Join(err, rerr)}
	}
	return l, err
}

// newNote is the note of a lease that begins now. The limit counts from now, for
// whoever prolongs it.
func (s *Session) newNote(l Lease, role string) note {
	now, limit, by := time.Now(), s.grant.Terms().MaxTTL, *s.Caller()
	by.Scopes = nil
	n := note{By: &by, Lease: l.ID, Role: role, Renewable: l.Renewable, Issued: now.Unix(), Renewed: now.Unix(), Seen: now.Unix()}
	n.Expires = n.Issued + int64(l.Duration)
	if limit > 0 {
		n.Ends = now.Add(limit).Unix()
	}
	return n
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

// page is the caller's own in the book.
func (s *Session) page() page { return s.client.leases(s.Caller().Key()) }

// Renew prolongs a lease of the caller's. With an increment of 0 Vault chooses.
// The grant's longest life counts from when the lease was issued.
func (s *Session) Renew(ctx context.Context, id string, increment int) (Lease, error) {
	n, err := s.page().read(ctx, noteName(id))
	if err != nil {
		return Lease{}, err
	}
	left, err := s.left(n)
	if err != nil {
		return Lease{}, err
	}
	if left > 0 {
		if secs := int(left / time.Second); increment > secs {
			s.Warn(fmt.Sprintf("the policy lets the lease live for %d seconds more, not for %d as asked", secs, increment))
			increment = secs
		}
	}
	l, err := s.renew(ctx, id, increment)
	if call.Is(err, call.NotFound) {
		_ = s.page().drop(ctx, n) // the next listing tries again
	}
	if err != nil {
		return Lease{}, err
	}
	if l, err = s.shorten(ctx, l, left); err != nil {
		return Lease{}, err
	}
	n.Renewed = time.Now().Unix()
	n.Expires = n.Renewed + int64(l.Duration)
	if err = s.page().write(ctx, n); call.Is(err, call.CASMismatch) {
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
	n, err := s.page().read(ctx, noteName(id))
	if err != nil {
		return err
	}
	if err := s.Discard(ctx, id); err != nil {
		return err
	}
	_ = s.page().drop(ctx, n) // the lease is gone; its note expires like it would have
	return nil
}

// Leases are the caller's own.
func (s *Session) Leases(ctx context.Context) ([]Held, error) {
	notes, err := s.page().notes(ctx)
	held := make([]Held, 0, len(notes))
	for _, n := range notes {
		held = append(held, n.held())
	}
	return held, err
}

// Discard revokes a lease that this very session has minted, whoever owns it. For
// a lease that a caller names there is Revoke.
func (s *Session) Discard(ctx context.Context, id string) error {
	if !s.mine(id) {
		return call.Errorf(call.NotFound, "not found")
	}
	return s.client.endLease(ctx, s.Caller().Key(), id)
}

func (s *Session) renew(ctx context.Context, id string, increment int) (Lease, error) {
	if !s.mine(id) {
		return Lease{}, call.Errorf(call.NotFound, "not found")
	}
	l, warnings, err := s.client.renewLease(ctx, s.Caller().Key(), id, increment)
	s.heed(warnings)
	return l, err
}

// mine reports whether a lease is one of the granted mount.
func (s *Session) mine(id string) bool {
	p, err := call.ParsePath(id)
	mount, merr := call.ParsePath(s.grant.Terms().Resource.Mount)
	return err == nil && merr == nil && p.Within(mount)
}

// renewLease prolongs a lease (sys/leases/renew, Vault API). Like all that is
// about leases it is done with the gateway's own token: whose a lease is, the book
// says, not Vault.
func (c *Client) renewLease(ctx context.Context, key, id string, increment int) (l Lease, warnings []string, err error) {
	raw, err := json.Marshal(map[string]any{"lease_id": id, "increment": increment})
	if err != nil {
		return l, nil, err
	}
	a := wantLease()
	err = c.asGateway(ctx, request{method: put, path: "sys/leases/renew", body: raw, caller: key}, a)
	return a.Lease, a.Warnings, err
}

// endLease revokes a lease and returns when what it was for is gone
// (sys/leases/revoke, Vault API).
func (c *Client) endLease(ctx context.Context, key, id string) error {
	raw, err := json.Marshal(map[string]any{"lease_id": id, "sync": true})
	if err != nil {
		return err
	}
	return c.asGateway(ctx, request{method: put, path: "sys/leases/revoke", body: raw, caller: key}, nil)
}
