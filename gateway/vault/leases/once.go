package leases

import (
	"time"

	"portcullis/gateway/budget"
)

// Leases of credentials that work once are not registered: nobody renews or revokes them,
// and they may live for weeks in Vault. They are bounded by how many are made.
const (
	maxOnce  = 1024      // of one caller within onceHeld
	onceHeld = time.Hour // after which such a lease is not counted any more, if it has not ended before
)

// Once is a place among the leases that are not registered.
type Once struct{ release func() }

// ReserveOnce takes a place for a lease that will not be registered, among those of its
// caller and among everybody's. The error is that of budget.Budgets.Reserve.
func (r *Registry) ReserveOnce(key string) (*Once, error) {
	who := budget.Who{Caller: key + "\x00once"} // beside what the caller holds, which is counted as a whole
	release, err := r.Budgets.ReserveWithin(who, budget.Leases, 1, maxOnce)
	if err != nil {
		return nil, err
	}
	return &Once{release}, nil
}

// Release gives the place back: there is no lease.
func (o *Once) Release() { o.release() }

// Hold keeps the place until a lease of such a life has ended, 0 for one that is not known.
func (o *Once) Hold(life time.Duration) {
	if life <= 0 || life > onceHeld {
		life = onceHeld
	}
	time.AfterFunc(life, o.release)
}
