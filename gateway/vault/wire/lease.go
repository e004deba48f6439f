package wire

import "time"

// Lease is a credential's life, as Vault reports it.
type Lease struct {
	ID        string `json:"lease_id"`
	Duration  int    `json:"lease_duration"` // seconds
	Renewable bool   `json:"renewable"`
}

// longest is a lease beyond which times cannot be reckoned with, in seconds: 100 years.
const longest = 100 * 365 * 24 * 3600

// IsTTL reports whether so many seconds are a life that can be reckoned with, 0 for one
// without an end.
func IsTTL(seconds int64) bool { return seconds >= 0 && seconds <= longest }

// Whole reports whether there is a lease that will end.
func (l Lease) Whole() bool { return l.ID != "" && l.Duration > 0 && IsTTL(int64(l.Duration)) }

// SetLease keeps what the reply says about its lease.
func (l *Lease) SetLease(got Lease) { *l = got }

// Life is how long a lease that has just been granted lives.
func (l *Lease) Life() time.Duration { return time.Duration(l.Duration) * time.Second }

// Expires is when a lease that has just been granted ends, RFC 3339.
func (l Lease) Expires() string {
	return time.Now().Add(time.Duration(l.Duration) * time.Second).UTC().Format(time.RFC3339)
}
