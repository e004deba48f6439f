package vault

import (
	"time"

	"portcullis/gateway/call"
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
	w.add(call.Secret(token), delivered{by: &call.Caller{Subject: key}}, time.Duration(ttl)*time.Second)
}

// Take is what opens one.
func (w *Wrappings) Take(key, token string) bool {
	return w.take((&call.Caller{Subject: key}).Holder(), call.Secret(token))
}

// Held is how many are remembered, and of how many callers.
func (w *Wrappings) Held() (all, callers, queued int) { return len(w.all), len(w.each), len(w.next) }
