// Package readcache keeps answers for a short time, and never one that a write may
// have made old: an answer is kept only when nothing was written between the
// question and the answer.
package readcache

import (
	"sync"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// Cache keeps answers. Its fields are set before its first use.
type Cache struct {
	TTL      time.Duration
	MaxBytes int             // of all answers together
	MaxCount int             // of answers, 0 for no bound: an answer takes memory beside its bytes
	Budgets  *budget.Budgets // of which each answer takes an entry of its caller's

	mu     sync.Mutex // guards the fields below
	kept   map[place]map[Key]answer
	bytes  int
	count  int
	writes uint64 // how many there were
}

// Key says whose answer to which question it is.
type Key struct {
	Caller string
	Token  int64 // when the token was got that the question is asked with
	Of     call.Resource
}

// place is what a write changes: every version of it, for every caller.
type place struct{ mount, path string }

func (k Key) place() place { return placeOf(k.Of) }

func placeOf(r call.Resource) place { return place{r.Mount, r.Path.String()} }

type answer struct {
	body []byte
	at   time.Time
}

// Question is a question that is being asked.
type Question struct {
	key    Key
	writes uint64
}

// Get returns an answer that is young enough, which must not be changed, and its
// age. Without one it returns what Put wants to know about the question.
func (c *Cache) Get(k Key) (body []byte, age time.Duration, q Question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.kept[k.place()][k]; ok {
		if age := time.Since(a.at); age < c.TTL {
			return a.body, age, Question{}
		}
		c.drop(k)
	}
	return nil, 0, Question{k, c.writes}
}

// Put keeps the answer to a question, unless something was written since it was
// asked.
func (c *Cache) Put(q Question, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.writes != c.writes || len(body) > c.MaxBytes {
		return
	}
	c.drop(q.key)
	for p := range c.kept {
		if c.bytes+len(body) <= c.MaxBytes && (c.MaxCount <= 0 || c.count < c.MaxCount) {
			break
		}
		c.forget(p)
	}
	if !c.room(q.key.Caller) {
		return
	}
	if c.kept == nil {
		c.kept = map[place]map[Key]answer{}
	}
	p := q.key.place()
	if c.kept[p] == nil {
		c.kept[p] = map[Key]answer{}
	}
	c.kept[p][q.key] = answer{body, time.Now()}
	c.bytes += len(body)
	c.count++
}

// maxLooked is how many places are looked at for an answer of the caller's own.
const maxLooked = 16

// room takes an entry of the caller's share. Whoever has used it up gives one of its own
// answers for it, where one is found. The caller holds mu.
func (c *Cache) room(caller string) bool {
	who, looked := budget.Who{Caller: caller}, 0
	if c.Budgets.Take(who, budget.Cache, 1) == nil {
		return true
	}
	for _, answers := range c.kept { // in no order: one with many is found soon
		for k := range answers {
			if k.Caller == caller {
				c.drop(k)
				return c.Budgets.Take(who, budget.Cache, 1) == nil
			}
		}
		if looked++; looked == maxLooked {
			break
		}
	}
	return false
}

// Written drops everything about a resource. It is called before a write is sent
// and when it has ended in whatever way.
func (c *Cache) Written(r call.Resource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.forget(placeOf(r))
}

// drop drops one answer. The caller holds mu.
func (c *Cache) drop(k Key) {
	p := k.place()
	if a, ok := c.kept[p][k]; ok {
		c.gone(k, a)
		delete(c.kept[p], k)
	}
	if len(c.kept[p]) == 0 {
		delete(c.kept, p)
	}
}

// forget drops every answer about a place. The caller holds mu.
func (c *Cache) forget(p place) {
	for k, a := range c.kept[p] {
		c.gone(k, a)
	}
	delete(c.kept, p)
}

// gone counts an answer that is dropped. The caller holds mu.
func (c *Cache) gone(k Key, a answer) {
	c.bytes -= len(a.body)
	c.count--
	c.Budgets.Give(budget.Who{Caller: k.Caller}, budget.Cache, 1)
}
