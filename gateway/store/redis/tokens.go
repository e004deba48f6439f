package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// countSource notes a token of an owner until it ends, and returns those that end first when
// there are more than so many. The token itself, which is about to be used, is not among them.
const countSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local out = {}
while redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[3]) do
  local first = redis.call('ZRANGE', KEYS[1], 0, 1)
  local gone = first[1] ~= ARGV[1] and first[1] or first[2]
  redis.call('ZREM', KEYS[1], gone)
  out[#out + 1] = gone
end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return out`

// Tokens keep what belongs to tokens until a time, of each owner at most so many: those that
// end first make room for a new one. The reader of an entry need not know whose it is. Names of entries and
// what is in them is for the user to make unreadable.
type Tokens struct {
	store *Store
	kind  string
	most  int
	count *goredis.Script
	all   *total
}

// NewTokens makes a place for tokens of a kind, as many of one owner as most, and of all owners
// as all says, 0 for no bound.
func (s *Store) NewTokens(kind string, most, all int) *Tokens {
	return &Tokens{s, kind, most, goredis.NewScript(countSource), s.newTotal(kind, all)}
}

// Get reads an entry, nil for none.
func (t *Tokens) Get(ctx context.Context, name string) (data []byte, err error) {
	err = t.store.do(ctx, func(ctx context.Context) error {
		data, err = t.store.client.Get(ctx, t.store.key(t.kind, name)).Bytes()
		return err
	})
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	return data, err
}

// Put keeps an entry that is new for as long as is left of it, and reports whether it did. Its
// error is ErrFull for one more than there may be.
func (t *Tokens) Put(ctx context.Context, owner, name string, data []byte, left time.Duration) (done bool, err error) {
	done, err = t.set(ctx, owner, name, data, goredis.SetArgs{Mode: "NX", TTL: max(left, time.Millisecond)})
	if err != nil { // it may be there, and is not counted
		_ = t.remove(ctx, name)
	}
	return done && err == nil, err
}

// Replace replaces an entry that is there, and reports whether it did.
func (t *Tokens) Replace(ctx context.Context, owner, name string, data []byte, left time.Duration) (done bool, err error) {
	return t.set(ctx, owner, name, data, goredis.SetArgs{Mode: "XX", TTL: max(left, time.Millisecond)})
}

func (t *Tokens) set(ctx context.Context, owner, name string, data []byte, how goredis.SetArgs) (done bool, err error) {
	if err := t.all.take(ctx, name, how.TTL); err != nil {
		return false, err
	}
	var ended []string
	err = t.store.do(ctx, func(ctx context.Context) error {
		if err := t.store.client.SetArgs(ctx, t.store.key(t.kind, name), data, how).Err(); err != nil {
			return err
		}
		done = true
		ended, err = t.count.Run(ctx, t.store.client, []string{t.store.key(t.kind+" of", owner)}, name, how.TTL.Milliseconds(), t.most).StringSlice()
		return err
	})
	if errors.Is(err, goredis.Nil) { // to replace, and gone
		t.all.give(ctx, name)
		return false, nil
	}
	for _, name := range ended {
		_ = t.remove(ctx, name) // else it ends when it does
	}
	return done, err
}

func (t *Tokens) remove(ctx context.Context, name string) error {
	err := t.store.do(ctx, func(ctx context.Context) error { return t.store.client.Del(ctx, t.store.key(t.kind, name)).Err() })
	if err == nil {
		t.all.give(ctx, name)
	}
	return err
}

// Drop forgets an entry.
func (t *Tokens) Drop(ctx context.Context, owner, name string) error {
	if err := t.remove(ctx, name); err != nil {
		return err
	}
	return t.store.do(ctx, func(ctx context.Context) error {
		return t.store.client.ZRem(ctx, t.store.key(t.kind+" of", owner), name).Err()
	})
}
