package gate

import (
	"sync"
	"time"
)

// There is who has come lately. It knows two callers, which is enough to tell whether
// anybody but a certain one is there. Its zero value knows nobody.
type There struct {
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
func (t *There) see(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latest[0].key != key {
		t.latest[1] = t.latest[0]
	}
	t.latest[0] = seen{key, time.Now()}
}

// alone reports whether nobody but a caller has come lately.
func (t *There) alone(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	other := t.latest[0]
	if other.key == key {
		other = t.latest[1]
	}
	return time.Since(other.at) > lately
}
