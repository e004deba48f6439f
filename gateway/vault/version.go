package vault

import (
	"context"
	"slices"
	"sync"
	"time"
)

// askAgain is how soon Vault is asked again for the version of a KV engine when it has
// not told it.
const askAgain = time.Second

// asked is when Vault was asked last for the version of each KV engine.
type asked struct {
	mu sync.Mutex // guards at; held while Vault is asked, so that one call asks and the others wait
	at map[string]time.Time
}

// KVVersion is the version of a KV engine as Vault has told it. When nothing is known yet,
// Vault is asked, for readyTimeout at most and not more often than askAgain says; 0 when it
// has not told it then.
func (c *Client) KVVersion(mount string) int {
	if n := c.knownVersion(mount); n != 0 {
		return n
	}
	i := slices.IndexFunc(c.mounts, func(m Mount) bool { return m.Path == mount })
	if i < 0 {
		return 0
	}
	a := &c.ready.asked
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := c.knownVersion(mount); n != 0 || time.Since(a.at[mount]) < askAgain {
		return n
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(c.timeout, readyTimeout)) // the answer is for every caller that waits
	defer cancel()
	_, _ = c.inspect(ctx, c.mounts[i]) // which Verify reports
	if a.at == nil {
		a.at = map[string]time.Time{}
	}
	a.at[mount] = time.Now()
	return c.knownVersion(mount)
}

func (c *Client) knownVersion(mount string) int {
	version, _ := c.ready.kv.Load(mount)
	n, _ := version.(int)
	return n
}
