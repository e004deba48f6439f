// Package leases knows whose lease is whose, renews and revokes leases, and bounds how
// many a caller holds.
package leases

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// Location is where the registry keeps its entries: a KV version 2 mount and a path in
// it. The zero Location is none, and then no lease can be issued.
type Location struct {
	Mount string
	Path  call.Path
}

// Registry knows whose lease is whose. Vault itself lets any token that may renew leases
// renew anybody's (sys/leases, Vault API).
//
// The entries are kept in Vault, not in a signed handle or a store beside it: they are
// gone when Vault's leases are gone, every replica sees them at once, no further key is
// needed, callers hold Vault's own lease ids, and the entries can be listed. The price is
// one small write per lease, next to a database that creates a user. The entries are read
// and written with the gateway's own token; no grant opens a session on them.
//
// Its fields are set before its first use.
type Registry struct {
	Location
	Send    wire.Send       // sends a request with the gateway's own token
	Timeout time.Duration   // of one request
	Max     int             // leases that one caller may hold
	Budgets *budget.Budgets // bound the leases of all callers together; nil bounds nothing

	mu      sync.Mutex        // guards the field below, and not what it holds
	callers map[string]*state // by key
}

// Contains reports whether a resource is part of the registry, which is nobody's secret.
func (r *Registry) Contains(res call.Resource) bool {
	return r.Mount != "" && res.Mount == r.Mount && res.Path.Within(r.Path)
}

// Register writes an entry for a lease that was just issued, in the place that was
// reserved for it.
func (r *Registry) Register(ctx context.Context, key string, e Entry, place *Reservation) error {
	r.stateOf(key).added()
	place.fill(e.name())
	err := r.leases(key).write(ctx, e)
	if err != nil {
		place.fill("")
	}
	count(err, issued)
	return err
}

// RegisterToken writes an entry for the token of a caller's leases.
func (r *Registry) RegisterToken(ctx context.Context, key string, t tokencache.Token) error {
	now := time.Now().Unix()
	e := Entry{Accessor: t.Accessor, Renewable: t.Renewable, Issued: now, Renewed: now, Expires: now + int64(t.Life/time.Second)}
	return r.tokens(key).write(ctx, e)
}

// Read finds the entry of a lease of the caller's. For a lease of another caller, or of
// another holder (call.Caller.Holder), and for one that never was it returns the same
// NotFound.
func (r *Registry) Read(ctx context.Context, c *call.Caller, leaseID string) (Entry, error) {
	e, err := r.leases(c.Key()).read(ctx, entryName(leaseID))
	if err == nil && !e.heldBy(c) {
		return Entry{}, call.Errorf(call.NotFound, "not found")
	}
	return e, err
}

// Update writes an entry that was read. A change that somebody else made since is no
// error and stays: it says the same.
func (r *Registry) Update(ctx context.Context, key string, e Entry) error {
	return ignoreConflict(r.leases(key).write(ctx, e))
}

// Remove removes the entry of a lease that has ended. An entry that could not be removed
// is removed when the caller's leases are listed next.
func (r *Registry) Remove(ctx context.Context, key string, e Entry) {
	_ = r.leases(key).remove(ctx, e)
}

// List returns the leases that a caller holds for whom it calls now.
func (r *Registry) List(ctx context.Context, c *call.Caller) ([]Held, error) {
	entries, err := r.leases(c.Key()).entries(ctx)
	held := make([]Held, 0, len(entries))
	for _, e := range entries {
		if e.heldBy(c) {
			held = append(held, e.held())
		}
	}
	return held, err
}

// ignoreConflict passes over that somebody else has written the same entry at the same
// time.
func ignoreConflict(err error) error {
	if call.Is(err, call.CASMismatch) {
		return nil
	}
	return err
}

// RenewLease renews a lease (sys/leases/renew, Vault API). Vault takes the increment, in
// seconds, as the TTL from now on.
func (r *Registry) RenewLease(ctx context.Context, key, id string, increment int) (l wire.Lease, warnings []string, err error) {
	raw, err := json.Marshal(map[string]any{"lease_id": id, "increment": increment})
	if err != nil {
		return l, nil, err
	}
	a := wire.WantLease()
	err = r.Send(ctx, wire.Request{Method: wire.Put, Path: "sys/leases/renew", Body: raw, Caller: key}, a)
	count(err, renewed)
	return a.Lease, a.Warnings, err
}

// RevokeLease revokes a lease and returns when its credential is gone
// (sys/leases/revoke, Vault API).
func (r *Registry) RevokeLease(ctx context.Context, key, id string) error {
	raw, err := json.Marshal(map[string]any{"lease_id": id, "sync": true})
	if err != nil {
		return err
	}
	err = r.Send(ctx, wire.Request{Method: wire.Put, Path: "sys/leases/revoke", Body: raw, Caller: key}, nil)
	count(err, revoked)
	return err
}

// callerKeys calls add for each caller that has an entry.
func (r *Registry) callerKeys(ctx context.Context, add func(tenant, subject string)) error {
	problems := []error{r.subjects(ctx, "", "subjects", add)}
	tenants, err := r.folder("", "tenants").names(ctx)
	problems = append(problems, err)
	for _, tenant := range tenants {
		tenant = strings.TrimSuffix(tenant, "/")
		problems = append(problems, r.subjects(ctx, tenant, "tenants/"+tenant, add))
	}
	return errors.Join(problems...)
}

// subjects calls add for each subject of a tenant.
func (r *Registry) subjects(ctx context.Context, tenant, path string, add func(tenant, subject string)) error {
	names, err := r.folder("", path).names(ctx)
	for _, subject := range names {
		add(tenant, strings.TrimSuffix(subject, "/"))
	}
	return err
}

// Owned is a lease with the key of the caller that holds it, and of whom the caller holds
// it for, empty for itself.
type Owned struct {
	Held
	Caller     string
	OnBehalfOf string
}

// Inventory lists the leases of all callers, at most so many. It reads an entry of the
// registry for each.
func (r *Registry) Inventory(ctx context.Context, most int) ([]Owned, error) {
	if r.Mount == "" {
		return nil, nil
	}
	var keys []string
	if err := r.callerKeys(ctx, func(tenant, subject string) {
		keys = append(keys, (&call.Caller{Tenant: tenant, Subject: subject}).Key())
	}); err != nil {
		return nil, err
	}
	var all []Owned
	for _, key := range keys {
		entries, err := r.leases(key).entries(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if all = append(all, Owned{e.held(), key, e.behalf()}); len(all) == most {
				return all, nil
			}
		}
	}
	return all, nil
}
