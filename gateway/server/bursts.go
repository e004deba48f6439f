package server

import (
	"net/netip"
	"sync"
	"time"
)

// What addresses may begin with: a connection that begins without a burst is read from as
// fast as any when it is known who calls.
const (
	burstsEach = 2    // connections of one address, and one more each second
	burstsOf   = 1024 // addresses that are remembered
)

// bursts counts the connections of each address that have begun with a burst lately.
type bursts struct {
	mu sync.Mutex // guards of
	of map[netip.Addr]begun
}

// begun is how many have begun, one less for each second since.
type begun struct {
	n  float64
	at time.Time
}

// take reports whether one more connection of an address may begin with a burst.
func (b *bursts) take(a netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, there := b.of[a]
	one = begun{max(0, one.n-now.Sub(one.at).Seconds()), now}
	if one.n > burstsEach-1 {
		return false
	}
	if b.of == nil {
		b.of = map[netip.Addr]begun{}
	}
	if !there && len(b.of) >= burstsOf {
		for other := range b.of { // any
			delete(b.of, other)
			break
		}
	}
	one.n++
	b.of[a] = one
	return true
}
