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

// owned are the wrapped answers, or the one-time passwords, that callers were given, by the
// token or the lease, so that each opens or ends only its own: neither says whose it is.
// What another replica, or this one before a restart, has given out is opened and ended
// with Vault itself.
type owned struct {
	mu   sync.Mutex // guards the fields below
	all  map[[sha256.Size]byte]*delivered
	each map[string]int // by the caller's key (call.KeyOf)
	next byEnd          // all, by when they end
}

type delivered struct {
	sum  [sha256.Size]byte // of the token, or of the lease
	by   *call.Caller      // to whom it was given
	of   string            // call.Caller.Holder of that
	id   string            // what Vault ends it by: an accessor, or the lease
	path string            // where it was made, or the role
	made time.Time
	ends time.Time
	at   int // its place in owned.next
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

// Bounds of what is remembered; beyond them it takes Vault to open or end a thing.
const (
	ownedEach = 256
	ownedAll  = 64 << 10
)

// wrapped remembers whose a wrapped answer is.
func (c *Client) wrapped(by *call.Caller, i *wire.Wrapping) *Wrapped {
	c.wrappings.add(i.Token, delivered{by: by, id: i.Accessor, path: i.CreationPath}, time.Duration(i.TTL)*time.Second)
	return &Wrapped{i.WrapInfo}
}

// add remembers whose a thing is.
func (w *owned) add(token call.Secret, one delivered, life time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all, w.each = map[[sha256.Size]byte]*delivered{}, map[string]int{}
	}
	now := time.Now()
	for len(w.next) > 0 && now.After(w.next[0].ends) { // each is walked over once
		w.drop(w.next[0])
	}
	one.sum, one.of, one.made, one.ends = sha256.Sum256([]byte(token.Reveal())), one.by.Holder(), now, now.Add(life)
	key := call.KeyOf(one.of)
	if w.each[key] >= ownedEach || len(w.all) >= ownedAll || w.all[one.sum] != nil {
		return
	}
	w.all[one.sum] = &one
	w.each[key]++
	heap.Push(&w.next, &one)
}

// drop forgets one. The caller holds mu.
func (w *owned) drop(one *delivered) {
	delete(w.all, one.sum)
	heap.Remove(&w.next, one.at)
	key := call.KeyOf(one.of)
	if w.each[key]--; w.each[key] <= 0 {
		delete(w.each, key)
	}
}

// take forgets what is a holder's, and reports whether there was something.
func (w *owned) take(holder string, token call.Secret) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	one, there := w.find(holder, token)
	if there {
		w.drop(one)
	}
	return there
}

// look is what is known of what is a holder's.
func (w *owned) look(holder string, token call.Secret) (delivered, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one, there := w.find(holder, token)
	if !there {
		return delivered{}, false
	}
	return *one, true
}

// find is look while mu is held.
func (w *owned) find(holder string, token call.Secret) (*delivered, bool) {
	one := w.all[sha256.Sum256([]byte(token.Reveal()))]
	return one, one != nil && one.of == holder && !time.Now().After(one.ends)
}

// Wrapping says of an answer that was wrapped for a caller at which path and when that was
// and for how long; ok is false for one that is another caller's, was used or has ended.
func (c *Client) Wrapping(of *call.Caller, token call.Secret) (path string, at time.Time, ttl time.Duration, ok bool) {
	one, ok := c.wrappings.look(of.Holder(), token)
	if !ok {
		return "", time.Time{}, 0, false
	}
	return one.path, one.made, one.ends.Sub(one.made), ok
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
	if !s.client.wrappings.take(s.Caller().Holder(), token) {
		return nil, call.Errorf(call.NotFound, "not found: the token is none of yours that the gateway knows, or was used, or has ended")
	}
	var u unwrappedData
	r := wire.Request{Method: wire.Put, Path: "sys/wrapping/unwrap", Body: []byte("{}"), Long: true, Token: token.Reveal(), Caller: s.Caller().Key(), ID: s.grant.Terms().DecisionID}
	err := s.client.exchange(ctx, r, wire.WantData(&u))
	if call.Is(err, call.VaultAuth) || call.Is(err, call.InvalidRequest) || call.Is(err, call.Forbidden) {
		err = call.Wrap(call.NotFound, "not found: the token was used, or has ended", err)
	}
	return u.data, err
}

// Rewrap puts a wrapped answer of the caller's behind another token, which lives as long
// as the first one was made for. A wrapping token may not do that itself, so the gateway's
// does (sys/wrapping/rewrap, Vault API). Its errors are those of Unwrap.
func (s *Session) Rewrap(ctx context.Context, token call.Secret) (*Wrapped, error) {
	holder := s.Caller().Holder()
	if !s.client.wrappings.take(holder, token) {
		return nil, call.Errorf(call.NotFound, "not found: the token is none of yours that the gateway knows, or was used, or has ended")
	}
	raw, err := json.Marshal(map[string]string{"token": token.Reveal()})
	if err != nil {
		return nil, err
	}
	r := wire.Request{Method: wire.Put, Path: "sys/wrapping/rewrap", Body: raw, Caller: s.Caller().Key()}
	s.stamp(&r)
	a := wire.WantWrapped()
	err = s.client.asGateway(ctx, r, a)
	if call.Is(err, call.InvalidRequest) {
		err = call.Wrap(call.NotFound, "not found: the token was used, or has ended", err)
	}
	if err != nil {
		return nil, err
	}
	return s.client.wrapped(s.Caller(), a.WrapInfo), nil
}
