package gate

import (
	"sync"
	"time"
)

// Presence is who has come lately. It knows two callers, which is enough to tell whether
// anybody but a certain one is there. Its zero value knows nobody.
type Presence struct {
	mu     sync.Mutex // guards latest
	latest [2]seen    // the last one first
}

// seen is when a caller came the last time.
type seen struct {
	key string
	at  time.Time
}

// lately is how long a caller counts as somebody to leave room for.
const lately = time.Second

// see notes that a caller has come.
func (p *Presence) see(key string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest[0].key != key {
		p.latest[1] = p.latest[0]
	}
	p.latest[0] = seen{key, now}
}

// alone reports whether nobody but a caller has come lately.
func (p *Presence) alone(key string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	other := p.latest[0]
	if other.key == key {
		other = p.latest[1]
	}
	return now.Sub(other.at) > lately
}
