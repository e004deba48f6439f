package transform

import (
	"sync"
	"time"

	"portcullis/gateway/transform/guest"
)

// What a caller has who runs modules out of fuel. Such a call takes coolShare times
// as long in the end, at most coolMax more; the caller's others take turns for hotFor
// after it, each waiting at most turnWait.
const (
	coolShare = 10
	coolMax   = 250 * time.Millisecond
	hotFor    = 10 * time.Second
	turnWait  = time.Second
)

// cooler keeps callers who run modules out of fuel from taking more than a fraction
// of the time, however many calls they make at once: nothing can interrupt a guest,
// so while one runs others may have to wait.
type cooler struct {
	mu  sync.Mutex // guards the fields below
	hot map[string]*turn
}

// turn is one caller's.
type turn struct {
	place chan struct{} // full while a call runs
	users int
	until time.Time
}

// enter waits for the caller's turn, if it has to take turns.
func (c *cooler) enter(subject string) (*turn, error) {
	c.mu.Lock()
	t := c.hot[subject]
	if t == nil {
		c.mu.Unlock()
		return nil, nil
	}
	t.users++
	c.mu.Unlock()
	late := time.NewTimer(turnWait)
	defer late.Stop()
	select {
	case t.place <- struct{}{}:
		return t, nil
	case <-late.C:
		c.let(subject, t)
		return nil, &guest.Fault{Code: guest.Busy}
	}
}

// leave ends a call that took so long. One that ran out of fuel ends later.
func (c *cooler) leave(subject string, t *turn, took time.Duration, spent bool) {
	if spent {
		c.heat(subject)
		time.Sleep(min(coolShare*took, coolMax))
	}
	if t != nil {
		<-t.place
		c.let(subject, t)
	}
}

// heat makes the caller take turns from now on, and forgets those who no longer do.
func (c *cooler) heat(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hot == nil {
		c.hot = map[string]*turn{}
	}
	now := time.Now()
	for s, t := range c.hot {
		if t.users == 0 && now.After(t.until) {
			delete(c.hot, s)
		}
	}
	if c.hot[subject] == nil {
		c.hot[subject] = &turn{place: make(chan struct{}, 1)}
	}
	c.hot[subject].until = now.Add(hotFor)
}

func (c *cooler) let(subject string, t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.users--; t.users == 0 && time.Now().After(t.until) && c.hot[subject] == t {
		delete(c.hot, subject)
	}
}
