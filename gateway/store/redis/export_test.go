package redis

import (
	"context"
	"time"

	"portcullis/gateway/limit"
)

// SetLease makes places end sooner than they do.
func SetLease(p *Places, d time.Duration) { p.lease = d }

// SpendOf are the buckets beside places.
func SpendOf(p *Places) limit.Spend { return p.store.Spend }

// Renew renews places, between a look at those that are held and telling Redis.
func Renew(p *Places, between func()) {
	all := p.snapshot()
	between()
	for key, members := range all {
		p.prolong(context.Background(), key, members)
	}
}
