package redis

import "context"

// Count adds to a number that replicas share, and returns it. It begins anew when Redis
// forgets it: whoever waits for news compares it with what it was, whatever that is.
func (s *Store) Count(ctx context.Context, name string, add int64) (n int64, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		n, err = s.client.IncrBy(ctx, s.key("count", name), add).Result()
		return err
	})
	return n, err
}
