package redis

import (
	"context"
	"time"
)

// Seen remembers an identifier until a time, and reports whether it was known already.
func (s *Store) Seen(id string, until time.Time) (seen bool, err error) {
	err = s.do(context.Background(), func(ctx context.Context) error {
		fresh, err := s.client.SetNX(ctx, s.key("seen", id), "", max(time.Until(until), time.Millisecond)).Result()
		seen = !fresh
		return err
	})
	return seen, err
}
