package vault

import (
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
	all  map[[sha256.Size]byte]delivered
	each map[string]int // by the caller's key
}

type delivered struct {
	key  string
	path string // where it was made
	made time.Time
	ends time.Time
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
		w.all, w.each = map[[sha256.Size]byte]delivered{}, map[string]int{}
	}
	if w.each[key] >= wrappingsEach || len(w.all) >= wrappingsAll {
		w.sweep(time.Now())
	}
	if w.each[key] >= wrappingsEach || len(w.all) >= wrappingsAll {
		return
	}
	w.all[sha256.Sum256([]byte(i.Token.Reveal()))] = delivered{key, i.CreationPath, time.Now(), time.Now().Add(time.Duration(i.TTL) * time.Second)}
	w.each[key]++
}

// sweep forgets what has ended. The caller holds mu.
func (w *wrappings) sweep(now time.Time) {
	for sum, one := range w.all {
		if now.After(one.ends) {
			w.drop(sum, one.key)
		}
	}
}

// drop forgets one. The caller holds mu.
func (w *wrappings) drop(sum [sha256.Size]byte, key string) {
	delete(w.all, sum)
	if w.each[key]--; w.each[key] <= 0 {
		delete(w.each, key)
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
	w.drop(sum, key)
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
