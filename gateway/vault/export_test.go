package vault

import (
	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// OverNetHTTP is a configuration with which every request is net/http's.
func OverNetHTTP(c Config) Config {
	c.netHTTP = true
	return c
}

// Wrappings are the wrapped answers that callers were given.
type Wrappings struct{ owned }

// Add is what delivers one.
func (w *Wrappings) Add(key, token string, ttl int) {
	w.wrapped(key, wire.WrapInfo{Token: call.Secret(token), TTL: ttl})
}

// Take is what opens one.
func (w *Wrappings) Take(key, token string) bool { return w.take(key, call.Secret(token)) }

// Held is how many are remembered, and of how many callers.
func (w *Wrappings) Held() (all, callers, queued int) { return len(w.all), len(w.each), len(w.next) }
