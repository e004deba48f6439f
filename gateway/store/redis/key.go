package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	goredis "github.com/redis/go-redis/v9"
)

// keySource is the text of a key, which is made where there is none.
const keySource = `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`

// NewKey makes what returns a key that all replicas have, of a name. It is made of a random
// text in Redis and of the password that they have for Redis: whoever reads Redis and does not
// know the password does not learn it. A Redis that has lost its data has another key.
func (s *Store) NewKey(name string) func(context.Context) ([32]byte, error) {
	script := goredis.NewScript(keySource)
	return func(ctx context.Context) (key [32]byte, err error) {
		err = s.do(ctx, func(ctx context.Context) error {
			text, err := script.Run(ctx, s.client, []string{s.key("key", name)}, rand.Text()).Text()
			key = sha256.Sum256([]byte(name + "\x00" + text + "\x00" + s.secret))
			return err
		})
		return key, err
	}
}
