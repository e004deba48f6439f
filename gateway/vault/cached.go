package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/vault/readcache"
)

// cacheBytes bounds what the read cache holds.
const (
	cacheBytes = 32 << 20
	cacheCount = 32 << 10
)

// newCache returns nil, which is no cache, unless answers shall be kept.
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
func (s *Session) Cached() CacheUse { return s.use }

// cacheable reports whether a request is one that is answered from the cache: a
// secret that is read and not to be wrapped. The session has been opened with a
// decision, so a hit has been decided on like any other read.
func (s *Session) cacheable(r request) bool {
	return s.client.cache != nil && s.grant.Terms().Op == "kv.read" && r.method == get && !s.wraps
}

// fromCache reads through the cache.
func (s *Session) fromCache(ctx context.Context, r request, out Reply) error {
	token, err := s.cell.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	s.use = CacheUse{Asked: true}
	key := readcache.Key{Caller: s.Caller().Key(), Token: token.Born.UnixNano(), Of: s.grant.Terms().Resource}
	raw, age, question := s.client.cache.Get(key)
	if raw != nil {
		s.use.Hit, s.use.Age = true, age
	} else {
		k := &kept{out: out}
		if err := s.asCaller(ctx, r, wantData(k)); err != nil {
			return err
		}
		s.client.cache.Put(question, k.raw)
		return nil
	}
	if !(&kept{out, raw}).Complete() {
		return incomplete(r, errors.New("it lacks data"))
	}
	return nil
}

// kept is an answer whose data are kept as they came.
type kept struct {
	out Reply // nil when nothing is needed of them
	raw []byte
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

// writing drops what the cache has about the resource that a request changes, and
// returns what does so again when the request has ended in whatever way.
func (s *Session) writing(r request) func() {
	if s.client.cache == nil || r.readOnly() {
		return func() {}
	}
	of := s.grant.Terms().Resource
	s.client.cache.Written(of)
	return func() { s.client.cache.Written(of) }
}
