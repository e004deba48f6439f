package policy

import (
	"hash/maphash"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
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
	shards [cacheShards]kept[entry]
}

// entry is an answer and the time in which it holds.
type entry struct {
	out         *document.Output // shared, never changed
	from, until int64
}

// newCache returns nil when the program cannot be proved cacheable.
func newCache(p *program.Program, size int, b *budget.Budgets) *cache {
	if !p.Keeps() || size < 0 {
		return nil
	}
	c := &cache{seed: maphash.MakeSeed(), keyer: p.Keyer(), window: p.Window}
	for i := range c.shards {
		c.shards[i].most, c.shards[i].budgets = max(size/cacheShards, 1), b
	}
	return c
}

// close drops everything, for a policy that is active no more.
func (c *cache) close() {
	if c == nil {
		return
	}
	for i := range c.shards {
		c.shards[i].close()
	}
}

// key is the key of an input, written into buf; where a second question is asked about it
// (document.Input.Beside), that of both.
func (c *cache) key(buf []byte, in *document.Input) []byte {
	if c == nil {
		return nil
	}
	buf = c.keyer.Append(buf, in)
	if other := in.Beside(); other != nil {
		buf = c.keyer.Append(buf, other)
	}
	return buf
}

func (c *cache) get(key []byte, now int64) (*document.Output, bool) {
	if c == nil {
		return nil, false
	}
	e, ok := c.shard(key).get(key)
	return e.out, ok && e.from <= now && now < e.until
}

func (c *cache) shard(key []byte) *kept[entry] {
	return &c.shards[maphash.Bytes(c.seed, key)%cacheShards]
}

// put keeps the answer to a caller's question until a grant or the credential ends.
func (c *cache) put(who *call.Caller, key []byte, now int64, out *document.Output) {
	if c == nil {
		return
	}
	e := entry{out: out}
	e.from, e.until = c.window(now)
	if ends := unix(who.Expires); ends > 0 {
		e.until = min(e.until, ends)
	}
	c.shard(key).put(who.Key(), key, e)
}
