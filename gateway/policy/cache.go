package policy

import (
	"hash/maphash"
	"sync"

	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// cacheShards spread the locks.
const cacheShards = 32

// cache keeps the answers of one snapshot, so that a new revision begins with an
// empty one. A key is the whole of what the policy can read, and is compared as a
// whole. A nil cache keeps nothing.
type cache struct {
	seed   maphash.Seed
	keyer  document.Keyer
	window func(int64) (from, until int64)
	max    int // entries of one shard
	shards [cacheShards]struct {
		mu      sync.RWMutex // guards entries
		entries map[string]entry
	}
}

// entry is an answer and the time in which it holds.
type entry struct {
	out         *document.Output // shared, never changed
	from, until int64
}

// newCache returns nil when the program cannot be proved cacheable.
func newCache(p *program.Program, size int) *cache {
	if !p.Keeps() || size < 0 {
		return nil
	}
	c := &cache{seed: maphash.MakeSeed(), keyer: p.Keyer(), window: p.Window, max: max(size/cacheShards, 1)}
	for i := range c.shards {
		c.shards[i].entries = map[string]entry{}
	}
	return c
}

// key is the key of an input, written into buf.
func (c *cache) key(buf []byte, in *document.Input) []byte {
	if c == nil {
		return nil
	}
	return c.keyer.Append(buf, in)
}

func (c *cache) get(key []byte, now int64) (*document.Output, bool) {
	if c == nil {
		return nil, false
	}
	s := &c.shards[maphash.Bytes(c.seed, key)%cacheShards]
	s.mu.RLock()
	e, ok := s.entries[string(key)]
	s.mu.RUnlock()
	return e.out, ok && e.from <= now && now < e.until
}

// put keeps an answer until a grant or the credential ends. A full shard starts
// anew: what is asked again is answered again.
func (c *cache) put(key []byte, now, credentialEnds int64, out *document.Output) {
	if c == nil {
		return
	}
	e := entry{out: out}
	e.from, e.until = c.window(now)
	if credentialEnds > 0 {
		e.until = min(e.until, credentialEnds)
	}
	s := &c.shards[maphash.Bytes(c.seed, key)%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) >= c.max {
		clear(s.entries)
	}
	s.entries[string(key)] = e
}
