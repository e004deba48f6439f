package redis

import "time"

// SetLease makes places end sooner than they do.
func SetLease(p *Places, d time.Duration) { p.lease = d }
