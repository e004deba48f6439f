package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/vault/readcache"
	"portcullis/gateway/vault/wire"
)

// cacheBytes and cacheCount bound what the read cache holds.
const (
	cacheBytes = 32 << 20
	cacheCount = 32 << 10
)

// newCache returns nil, which is no cache, for a TTL of 0.
func newCache(ttl time.Duration, b *budget.Budgets) *readcache.Cache {
	if ttl <= 0 {
		return nil
	}
	return &readcache.Cache{TTL: ttl, MaxBytes: cacheBytes, MaxCount: cacheCount, Budgets: b}
}

// CacheUse says what the read cache had to do with an answer.
type CacheUse struct {
	Asked bool // the answer could have come from the cache
	Hit   bool // it did
	Age   time.Duration
}

// Cached says whether what the session has read came from the cache.
func (s *Session) Cached() CacheUse { return s.cached }

// fromCache answers a read from the cache: hit reports whether it did. After a miss it
// returns what keeps Vault's answer, nil when the request is none that the cache answers.
// The session was opened with a decision, so a hit has been decided on like any other
// read.
func (s *Session) fromCache(ctx context.Context, r wire.Request, out Reply) (k *kept, hit bool, err error) {
	cache := s.client.cache
	if cache == nil || !s.use.Cacheable || r.Method != wire.Get || s.wraps {
		return nil, false, nil
	}
	token, err := s.tokens.Token(ctx)
	if err != nil {
		return nil, false, tokenFailed(err)
	}
	s.cached = CacheUse{Asked: true}
	key := readcache.Key{Caller: s.Caller().Key(), Token: token.Born.UnixNano(), Of: s.grant.Terms().Resource}
	raw, age, question := cache.Get(key)
	if raw == nil {
		return &kept{out: out, cache: cache, question: question}, false, nil
	}
	s.cached.Hit, s.cached.Age = true, age
	if !(&kept{out: out, raw: raw}).Complete() {
		return nil, true, wire.Incomplete(r, errors.New("it lacks data"))
	}
	return nil, true, nil
}

// kept is an answer whose data are kept as they came. A nil kept keeps nothing.
type kept struct {
	out      Reply // nil when nothing is needed of the data
	raw      []byte
	cache    *readcache.Cache
	question readcache.Question
}

// answer is where a request's answer goes.
func (k *kept) answer(out Reply) *wire.Answer {
	if k == nil {
		return wire.WantData(out)
	}
	return wire.WantData(k)
}

// store puts a complete answer into the cache.
func (k *kept) store() {
	if k != nil {
		k.cache.Put(k.question, k.raw)
	}
}

// UnmarshalJSON keeps a copy.
func (k *kept) UnmarshalJSON(raw []byte) error {
	k.raw = bytes.Clone(raw)
	return nil
}

// Complete decodes what is kept.
func (k *kept) Complete() bool {
	return k.out == nil || json.Unmarshal(k.raw, k.out) == nil && k.out.Complete()
}

// invalidate drops what the cache has about the resource that a request changes, and
// returns a function that does so again, for when the request has ended.
func (s *Session) invalidate(r wire.Request) func() {
	if s.client.cache == nil || r.ReadOnly() {
		return func() {}
	}
	of := s.grant.Terms().Resource
	s.client.cache.Written(of)
	return func() { s.client.cache.Written(of) }
}
