package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Copies are of what replicas keep in memory, for the others to read. How many there are is
// for those that write them to bound. Names of entries and what is in them is for the user to
// make unreadable.
type Copies struct {
	store *Store
	kind  string
	life  time.Duration
}

// NewCopies makes a place for copies of a kind, each of which ends after a life.
func (s *Store) NewCopies(kind string, life time.Duration) *Copies {
	return &Copies{s, kind, life}
}

// Write writes copies by name and forgets those that are gone, with one round trip. Some of
// it may be done when it fails; all of it may be done again.
func (c *Copies) Write(ctx context.Context, copies map[string][]byte, gone []string) error {
	return c.store.do(ctx, func(ctx context.Context) error {
		_, err := c.store.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for name, data := range copies {
				p.Set(ctx, c.store.key(c.kind, name), data, c.life)
			}
			for _, name := range gone {
				p.Del(ctx, c.store.key(c.kind, name)) // one by one: they are on different nodes of a cluster
			}
			return nil
		})
		return err
	})
}

// Read reads a copy, nil for none.
func (c *Copies) Read(ctx context.Context, name string) (data []byte, err error) {
	err = c.store.do(ctx, func(ctx context.Context) error {
		data, err = c.store.client.Get(ctx, c.store.key(c.kind, name)).Bytes()
		return err
	})
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	return data, err
}
