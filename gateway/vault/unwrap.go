package vault

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// wrappings are the wrapped answers that callers were given, so that each opens only its
// own: a wrapping token says nothing of whose it is. What another replica, or this one
// before a restart, has given out is opened with Vault itself.
type wrappings struct {
	mu   sync.Mutex // guards the fields below
	all  map[[sha256.Size]byte]*delivered
	each map[string]int // by the caller's key
	next byEnd          // all, by when they end
}

type delivered struct {
	sum  [sha256.Size]byte // of the token
	key  string
	path string // where it was made
	made time.Time
	ends time.Time
	at   int // its place in wrappings.next
}

// byEnd is a heap (container/heap) of what ends next.
type byEnd []*delivered

func (b byEnd) Len() int           { return len(b) }
func (b byEnd) Less(i, j int) bool { return b[i].ends.Before(b[j].ends) }
func (b byEnd) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].at, b[j].at = i, j
}

// Push implements heap.Interface.
func (b *byEnd) Push(x any) {
	one, _ := x.(*delivered) // there is nothing else
	one.at = len(*b)
	*b = append(*b, one)
}

// Pop implements heap.Interface.
func (b *byEnd) Pop() any {
	last := len(*b) - 1
	one := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]
	return one
}

// Bounds of what is remembered; beyond them an answer can only be opened with Vault.
const (
	wrappingsEach = 256
	wrappingsAll  = 64 << 10
)

// add remembers whose a wrapped answer is.
func (w *wrappings) add(key string, i wire.WrapInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all, w.each = map[[sha256.Size]byte]*delivered{}, map[string]int{}
	}
	now := time.Now()
	for len(w.next) > 0 && now.After(w.next[0].ends) { // each is walked over once
		w.drop(w.next[0])
	}
	one := &delivered{sum: sha256.Sum256([]byte(i.Token.Reveal())), key: key, path: i.CreationPath, made: now, ends: now.Add(time.Duration(i.TTL) * time.Second)}
	if w.each[key] >= wrappingsEach || len(w.all) >= wrappingsAll || w.all[one.sum] != nil {
		return
	}
	w.all[one.sum] = one
	w.each[key]++
	heap.Push(&w.next, one)
}

// drop forgets one. The caller holds mu.
func (w *wrappings) drop(one *delivered) {
	delete(w.all, one.sum)
	heap.Remove(&w.next, one.at)
	if w.each[one.key]--; w.each[one.key] <= 0 {
		delete(w.each, one.key)
	}
}

// take forgets an answer of a caller's, and reports whether there was one.
func (w *wrappings) take(key string, token call.Secret) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := sha256.Sum256([]byte(token.Reveal()))
	one, there := w.all[sum]
	if !there || one.key != key || time.Now().After(one.ends) {
		return false
	}
	w.drop(one)
	return true
}

// Wrapping says of an answer that was wrapped for a caller at which path and when that was
// and for how long; ok is false for one that is another caller's, was used or has ended.
func (c *Client) Wrapping(of *call.Caller, token call.Secret) (path string, at time.Time, ttl time.Duration, ok bool) {
	w := &c.wrappings
	w.mu.Lock()
	defer w.mu.Unlock()
	one, there := w.all[sha256.Sum256([]byte(token.Reveal()))]
	if !there || one.key != of.Key() || time.Now().After(one.ends) {
		return "", time.Time{}, 0, false
	}
	return one.path, one.made, one.ends.Sub(one.made), true
}

// unwrappedData is what was wrapped.
type unwrappedData struct{ data json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (u *unwrappedData) UnmarshalJSON(raw []byte) error {
	u.data = append(u.data[:0], raw...)
	return nil
}

// Complete implements Reply.
func (u *unwrappedData) Complete() bool { return len(u.data) > 0 && u.data[0] == '{' }

// Unwrap opens a wrapped answer of the caller's and returns its data, a JSON object. The
// token opens it once, here or elsewhere (sys/wrapping/unwrap, Vault API). Its errors are
// NotFound for one that is another caller's, unknown or used.
func (s *Session) Unwrap(ctx context.Context, token call.Secret) ([]byte, error) {
	if !s.client.wrappings.take(s.Caller().Key(), token) {
		return nil, call.Errorf(call.NotFound, "not found: the token is none of yours that the gateway knows, or was used, or has ended")
	}
	var u unwrappedData
	r := wire.Request{Method: wire.Put, Path: "sys/wrapping/unwrap", Body: []byte("{}"), Token: token.Reveal(), Caller: s.Caller().Key(), ID: s.grant.Terms().DecisionID}
	err := s.client.exchange(ctx, r, wire.WantData(&u))
	if call.Is(err, call.VaultAuth) || call.Is(err, call.InvalidRequest) || call.Is(err, call.Forbidden) {
		err = call.Wrap(call.NotFound, "not found: the token was used, or has ended", err)
	}
	return u.data, err
}
