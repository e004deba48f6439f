package token

import (
	"crypto/sha256"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of the tokens that are remembered: how many, and how long all of them
// together, in bytes. What a token says takes about as much memory as the token.
const (
	remembered      = 1 << 14
	rememberedBytes = 32 << 20
	perToken        = 1 << 10 // beside what it says
)

// memory remembers tokens that were verified, by their digest.
type memory struct {
	mu    sync.Mutex // guards the rest
	lru   *simplelru.LRU[[sha256.Size]byte, sized]
	bytes int
}

type sized struct {
	*Verified
	bytes int
}

func newMemory() *memory {
	m := &memory{}
	m.lru, _ = simplelru.NewLRU(remembered, func(_ [sha256.Size]byte, s sized) { m.bytes -= s.bytes }) // the size is positive
	return m
}

func (m *memory) get(sum [sha256.Size]byte) *Verified {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, _ := m.lru.Get(sum)
	return s.Verified
}

func (m *memory) add(sum [sha256.Size]byte, v *Verified, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lru.Remove(sum)
	m.bytes += size + perToken
	m.lru.Add(sum, sized{v, size + perToken})
	for m.bytes > rememberedBytes {
		m.lru.RemoveOldest()
	}
}

func (m *memory) remove(sum [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lru.Remove(sum)
}
