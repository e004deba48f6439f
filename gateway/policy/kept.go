package policy

import (
	"sync"

	"portcullis/gateway/budget"
)

// maxKeyBytes is the length up to which an answer is kept: a key is the whole of what
// the policy can read of a call, and a caller chooses how long its names and texts are.
const maxKeyBytes = 8 << 10

// kept keeps answers by key, each against the share of cache entries of the caller that
// asked. Whoever has used up its share replaces its own.
type kept[V any] struct {
	most    int
	budgets *budget.Budgets

	mu      sync.RWMutex // guards the fields below
	entries map[string]owned[V]
	closed  bool // nothing is kept any more
}

type owned[V any] struct {
	value V
	whose string
}

func (k *kept[V]) get(key []byte) (v V, ok bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e, ok := k.entries[string(key)]
	return e.value, ok
}

// put keeps an answer. When there are too many of everybody's, all of them go: what is
// asked again is answered again.
func (k *kept[V]) put(whose string, key []byte, v V) {
	if len(key) > maxKeyBytes {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	if k.entries == nil {
		k.entries = map[string]owned[V]{}
	}
	before, known := k.entries[string(key)]
	if known {
		whose = before.whose
	} else if !k.room(whose) {
		return
	}
	k.entries[string(key)] = owned[V]{v, whose}
}

// room takes a place for one more. The lock is held.
func (k *kept[V]) room(whose string) bool {
	if len(k.entries) >= k.most {
		k.clear()
	}
	if k.budgets.Take(budget.Who{Caller: whose}, budget.Cache, 1) == nil {
		return true
	}
	looked := 0
	for key, e := range k.entries { // in no order: one with many is found soon
		if e.whose == whose {
			delete(k.entries, key) // whose place is taken over
			return true
		}
		if looked++; looked == maxLooked {
			break
		}
	}
	return false
}

// maxLooked is how many entries are looked at for one of the caller's own.
const maxLooked = 16

// clear drops everything. The lock is held.
func (k *kept[V]) clear() {
	for _, e := range k.entries {
		k.budgets.Give(budget.Who{Caller: e.whose}, budget.Cache, 1)
	}
	clear(k.entries)
}

// close drops everything for good.
func (k *kept[V]) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clear()
	k.closed = true
}
