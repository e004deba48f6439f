package leases

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// Entry is what the registry holds about one lease, or about the token of leases, which
// has no role.
type Entry struct {
	Lease     string `json:"lease_id,omitempty"`
	Accessor  string `json:"accessor,omitempty"`
	Role      string `json:"role,omitempty"`
	Renewable bool   `json:"renewable,omitempty"`
	Issued    int64  `json:"issued"`         // Unix seconds
	Renewed   int64  `json:"renewed"`        // Unix seconds, when the present TTL began
	Expires   int64  `json:"expires"`        // Unix seconds
	Seen      int64  `json:"seen,omitempty"` // Unix seconds, of the last call of the caller's that is known
	Ends      int64  `json:"ends,omitempty"` // Unix seconds: it is not renewed beyond that, 0 for no end
	// By is the credential that the lease was issued to, without its scopes. The policy is
	// asked for that one whether the lease may live on, not for the credential that called
	// last.
	By *call.Caller `json:"by,omitempty"`

	version int // of the entry in KV, 0 for a new one
}

// Held is a lease that a caller holds.
type Held struct {
	ID      string
	Role    string
	Issued  time.Time
	Expires time.Time
}

// NewEntry is the entry of a lease whose life begins now. The policy's longest life of a
// lease counts from now; 0 is none.
func NewEntry(c *call.Caller, l wire.Lease, role string, longest time.Duration) Entry {
	now, by := time.Now(), unscoped(c)
	e := Entry{By: by, Lease: l.ID, Role: role, Renewable: l.Renewable, Issued: now.Unix(), Renewed: now.Unix(), Seen: now.Unix()}
	e.Expires = e.Issued + int64(l.Duration)
	if longest > 0 {
		e.Ends = now.Add(longest).Unix()
	}
	return e
}

// unscoped is a credential without its scopes.
func unscoped(c *call.Caller) *call.Caller {
	if c == nil {
		return nil
	}
	by := *c
	by.Scopes, by.Behalf = nil, unscoped(c.Behalf)
	return &by
}

// RenewedNow is the entry after a renewal that granted so many seconds.
func (e Entry) RenewedNow(seconds int) Entry {
	e.Renewed = time.Now().Unix()
	e.Expires = e.Renewed + int64(seconds)
	return e
}

// heldBy reports whether the lease was issued to a caller, for whom it calls now. The
// entry is one of the caller's.
func (e Entry) heldBy(c *call.Caller) bool {
	if e.By == nil {
		return c.Behalf == nil
	}
	return e.By.Holder() == c.Holder()
}

// behalf is the key of whom the lease was issued for beside the caller, empty for nobody.
func (e Entry) behalf() string {
	if e.By == nil || e.By.Behalf == nil {
		return ""
	}
	return e.By.Behalf.Key()
}

// name is the entry's name in its folder.
func (e Entry) name() string { return entryName(e.Lease + e.Accessor) }

func entryName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func (e Entry) expired() bool { return e.Expires <= time.Now().Unix() }

func (e Entry) held() Held {
	return Held{ID: e.Lease, Role: e.Role, Issued: time.Unix(e.Issued, 0).UTC(), Expires: time.Unix(e.Expires, 0).UTC()}
}
