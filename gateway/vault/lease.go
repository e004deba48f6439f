package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/wire"
)

// Lease is a credential's life, as Vault reports it.
type Lease = wire.Lease

// Held is a lease that a caller holds.
type Held = leases.Held

// Adopt makes a lease that was just issued the caller's: it is shortened to what the
// grant allows and registered. When either is impossible the lease is revoked, so that
// no lease lives without an owner.
func (s *Session) Adopt(ctx context.Context, l Lease, role string) (Lease, error) {
	defer s.place.Release()
	ctx = s.partOf(context.WithoutCancel(ctx)) // the lease exists although the caller may have gone away
	longest := s.grant.Terms().MaxTTL
	l, err := s.shorten(ctx, l, longest)
	if err == nil {
		if err = s.client.registry.Register(ctx, s.Caller().Key(), leases.NewEntry(s.Caller(), l, role, longest), s.place); err == nil {
			s.client.callers.Add(s.Caller().Tenant, s.Caller().Subject) // who was revoked meanwhile is known again, with the lease
			return l, nil
		}
		err = call.Wrap(call.VaultError, "the lease cannot be registered, so the credential is revoked and not given out", err)
	}
	if rerr := s.Discard(ctx, l.ID); rerr != nil {
		e := call.AsError(err)
		return l, &call.Error{Code: e.Code, Msg: e.Msg, Err: errors.Join(err, rerr)}
	}
	return l, err
}

// shorten renews a lease with a shorter TTL when its TTL is longer than longest: Vault
// takes the increment as the TTL from now on (sys/leases/renew, Vault API). A longest of
// 0 is no bound.
func (s *Session) shorten(ctx context.Context, l Lease, longest time.Duration) (Lease, error) {
	secs := int(longest / time.Second)
	if longest <= 0 || l.Duration <= secs {
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

// Renew renews a lease of the caller's. The increment is in seconds; with 0 Vault
// chooses. The grant's longest life of a lease counts from when it was issued.
func (s *Session) Renew(ctx context.Context, id string, increment int) (Lease, error) {
	ctx, registry, key := s.partOf(ctx), s.client.registry, s.Caller().Key()
	e, err := registry.Read(ctx, s.Caller(), id)
	if err != nil {
		return Lease{}, err
	}
	left, err := s.timeLeft(e)
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
		registry.Remove(ctx, key, e)
	}
	if err != nil {
		return Lease{}, err
	}
	if l, err = s.shorten(ctx, l, left); err != nil {
		return Lease{}, err
	}
	return l, registry.Update(ctx, key, e.RenewedNow(l.Duration))
}

// timeLeft is how long the grant lets a lease live from now on, 0 for no bound.
func (s *Session) timeLeft(e leases.Entry) (time.Duration, error) {
	longest := s.grant.Terms().MaxTTL
	if longest <= 0 {
		return 0, nil
	}
	left := time.Until(time.Unix(e.Issued, 0).Add(longest))
	if left < time.Second {
		return 0, call.Errorf(call.Forbidden, "the lease has lived as long as the policy allows")
	}
	return left, nil
}

// Revoke revokes a lease of the caller's and returns when the credential is gone.
func (s *Session) Revoke(ctx context.Context, id string) error {
	ctx, registry, key := s.partOf(ctx), s.client.registry, s.Caller().Key()
	e, err := registry.Read(ctx, s.Caller(), id)
	if err != nil {
		return err
	}
	if err := s.Discard(ctx, id); err != nil {
		return err
	}
	registry.Remove(ctx, key, e)
	return nil
}

// Leases are the caller's own, of those that it holds for whom it calls now.
func (s *Session) Leases(ctx context.Context) ([]leases.Held, error) {
	return s.client.registry.List(s.partOf(ctx), s.Caller())
}

// TakeBack revokes a lease that this very session has issued and that nobody is given: it
// takes no place among those that the caller may hold.
func (s *Session) TakeBack(ctx context.Context, id string) error {
	once := s.client.passwords.take(s.Caller().Holder(), call.Secret(id))
	if err := s.Discard(ctx, id); err != nil && !call.Is(err, call.NotFound) {
		return err
	}
	if !once {
		s.client.registry.Remove(s.partOf(ctx), s.Caller().Key(), leases.Entry{Lease: id})
	}
	return nil
}

// Discard revokes a lease that this very session has issued. Revoke is for a lease that
// a caller names: it checks whose the lease is.
func (s *Session) Discard(ctx context.Context, id string) error {
	if !s.isOfMount(id) {
		return call.Errorf(call.NotFound, "not found")
	}
	return s.client.registry.RevokeLease(s.partOf(ctx), s.Caller().Key(), id)
}

func (s *Session) renew(ctx context.Context, id string, increment int) (Lease, error) {
	if !s.isOfMount(id) {
		return Lease{}, call.Errorf(call.NotFound, "not found")
	}
	l, warnings, err := s.client.registry.RenewLease(s.partOf(ctx), s.Caller().Key(), id, increment)
	s.addVaultWarnings(warnings)
	return l, err
}

// isOfMount reports whether a lease id names a lease of the granted mount.
func (s *Session) isOfMount(id string) bool {
	p, err := call.ParsePath(id)
	mount, merr := call.ParsePath(s.grant.Terms().Resource.Mount)
	return err == nil && merr == nil && p.Within(mount)
}

// NoteOnce remembers that a lease that is not registered is the caller's.
func (s *Session) NoteOnce(l Lease, role string) {
	s.client.passwords.add(call.Secret(l.ID), delivered{by: s.Caller(), id: l.ID, path: role}, time.Duration(l.Duration)*time.Second)
}

// Once reports a lease of the caller's that is not registered, and RevokeOnce ends it.
// Their error is NotFound for one that is another caller's, or not known any more.
func (s *Session) Once(id string) (leases.Held, error) {
	one, ok := s.client.passwords.look(s.Caller().Holder(), call.Secret(id))
	if !ok {
		return leases.Held{}, call.Errorf(call.NotFound, "not found")
	}
	return leases.Held{ID: id, Role: one.path, Issued: one.made.UTC(), Expires: one.ends.UTC()}, nil
}

// RevokeOnce is said at Once.
func (s *Session) RevokeOnce(ctx context.Context, id string) error {
	if !s.client.passwords.take(s.Caller().Holder(), call.Secret(id)) {
		return call.Errorf(call.NotFound, "not found")
	}
	return s.Discard(ctx, id)
}
