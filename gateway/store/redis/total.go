package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ErrFull says that all callers together have as many entries of a kind as they may have.
var ErrFull = errors.New("there are as many entries in the shared store as there may be")

// totalSource counts an entry until it ends, unless there are too many others. ARGV: name, how
// long it is kept, how many there may be.
const totalSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return 1`

// total counts the entries of everybody, which are in other slots than it. One that has gone
// and could not be taken off is counted until it would have ended.
type total struct {
	store *Store
	key   string
	most  int // 0 for no bound
	count *goredis.Script
}

func (s *Store) newTotal(kind string, most int) *total {
	return &total{s, s.key("all of", kind), most, goredis.NewScript(totalSource)}
}

// take counts an entry that is to be kept for a while, or says ErrFull. One that is counted
// stays so for longer.
func (t *total) take(ctx context.Context, name string, left time.Duration) error {
	if t.most == 0 {
		return nil
	}
	ok := false
	err := t.store.do(ctx, func(ctx context.Context) (err error) {
		ok, err = t.count.Run(ctx, t.store.client, []string{t.key}, name, max(left, time.Millisecond).Milliseconds(), t.most).Bool()
		return err
	})
	if err == nil && !ok {
		return ErrFull
	}
	return err
}

// give takes entries off that have gone.
func (t *total) give(ctx context.Context, names ...string) {
	if t.most == 0 || len(names) == 0 {
		return
	}
	members := make([]any, len(names))
	for i, name := range names {
		members[i] = name
	}
	_ = t.store.do(ctx, func(ctx context.Context) error { return t.store.client.ZRem(ctx, t.key, members...).Err() }) // else they end
}
