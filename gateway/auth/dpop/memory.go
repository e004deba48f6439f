package dpop

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"portcullis/gateway/auth/rule"
)

// Bounds of the proofs that are remembered until they are too old to be used. A
// forgotten one could be used again, so a caller that has made more is refused, and
// nobody else is: when all of them are at their bound, a caller is only refused that
// has more than its even share, or more than a few where there are very many.
const (
	fewProofs = 256
	ownProofs = 1 << 13 // of one caller in 70 seconds, about 117 a second
	allProofs = 1 << 17 // from where on shares are even
)

// memory remembers proofs. It keeps two generations, so that forgetting costs
// nothing.
type memory struct {
	now func() time.Time

	mu         sync.Mutex // guards the rest
	young, old generation
	turn       time.Time // when young becomes old
}

// generation are the proofs of one span of time.
type generation struct {
	seen map[[sha256.Size]byte]struct{}
	of   map[string]int // how many each caller has made
}

// note remembers a proof of a caller. Errors are rules.
func (m *memory) note(caller, id string) error {
	sum := sha256.Sum256([]byte(id))
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); m.young.seen == nil || !now.Before(m.turn) {
		m.young, m.old = generation{map[[sha256.Size]byte]struct{}{}, map[string]int{}}, m.young
		m.turn = now.Add(Age + Ahead)
	}
	_, a := m.young.seen[sum]
	_, b := m.old.seen[sum]
	if a || b {
		return rule.ProofReplay
	}
	return m.young.add(caller, sum)
}

func (g *generation) add(caller string, sum [sha256.Size]byte) error {
	n, bound := g.of[caller], ownProofs
	if len(g.seen) >= allProofs {
		bound = max(fewProofs, allProofs/len(g.of))
	}
	if n >= bound {
		return fmt.Errorf("%w: %d proofs of the caller are remembered already", rule.ProofFlood, n)
	}
	g.of[caller] = n + 1
	g.seen[sum] = struct{}{}
	return nil
}
