package redis

import (
	"context"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Bound is what one owner may keep of a kind, and for how long after its last use.
type Bound struct {
	Most  int // entries
	Bytes int // of all entries together
	Idle  time.Duration
}

// swapSource replaces an entry of an owner when it is as it was. Entries are fields of one
// hash, their last uses a sorted set; what is idle goes first, then the one that was used
// longest ago, until there is room.
const swapSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local name, was, data = ARGV[1], ARGV[2], ARGV[3]
local most, bytes, idle = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - idle)) do
  redis.call('HDEL', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
end
if (redis.call('HGET', KEYS[1], name) or '') ~= was then return 0 end
redis.call('HDEL', KEYS[1], name)
redis.call('ZREM', KEYS[2], name)
if #data > bytes then return 0 end
local held, all = 0, redis.call('ZRANGE', KEYS[2], 0, -1)
for _, other in ipairs(all) do held = held + redis.call('HSTRLEN', KEYS[1], other) end
local left = #all
for _, other in ipairs(all) do
  if left < most and held + #data <= bytes then break end
  held = held - redis.call('HSTRLEN', KEYS[1], other)
  left = left - 1
  redis.call('HDEL', KEYS[1], other)
  redis.call('ZREM', KEYS[2], other)
end
redis.call('HSET', KEYS[1], name, data)
redis.call('ZADD', KEYS[2], now, name)
redis.call('PEXPIRE', KEYS[1], idle)
redis.call('PEXPIRE', KEYS[2], idle)
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1`

// dropSource forgets an entry of an owner.
const dropSource = `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`

// useSource reads an entry of an owner and notes that it is used.
const useSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local idle = tonumber(ARGV[2])
local last = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not last or tonumber(last) <= now - idle then return false end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], idle)
redis.call('PEXPIRE', KEYS[2], idle)
return redis.call('HGET', KEYS[1], ARGV[1])`

// Kept keeps entries of owners for all replicas: of each at most so many, in so many bytes,
// and none longer than it is used. Names of owners are hashed; names of entries and what is
// in them is for the user to make unreadable.
//
// Whoever changes an entry tells the other replicas its name in the same step: there is no
// change that they could not have been told of.
type Kept struct {
	store           *Store
	kind            string
	self            string // name of this replica
	bound           Bound
	changes         *Channel
	swap, use, drop *goredis.Script
}

// NewKept makes a place for entries of a kind, for a replica of a name.
func (s *Store) NewKept(kind, self string, b Bound) *Kept {
	return &Kept{
		store: s, kind: kind, self: self, bound: b, changes: s.NewChannel(kind),
		swap: goredis.NewScript(swapSource), use: goredis.NewScript(useSource), drop: goredis.NewScript(dropSource),
	}
}

// Run calls changed with the name of each entry that another replica has changed or dropped,
// and missed after a time in which it may not have been told, until ctx ends.
func (k *Kept) Run(ctx context.Context, changed func(name string), missed func()) {
	k.changes.Run(ctx, missed, func(message []byte) {
		if by, name, ok := strings.Cut(string(message), " "); ok && by != k.self {
			changed(name)
		}
	})
}

// notice is what the others are told of a change.
func (k *Kept) notice(name string) string { return k.self + " " + name }

func (k *Kept) keys(owner string) []string {
	at := k.store.key(k.kind, owner)
	return []string{at + ":entries", at + ":used"}
}

// Swap replaces an entry that is as was; empty is one that is not there. It reports whether
// it was, and has replaced it.
func (k *Kept) Swap(ctx context.Context, owner, name string, was, data []byte) (done bool, err error) {
	err = k.store.do(ctx, func(ctx context.Context) error {
		n, err := k.swap.Run(ctx, k.store.client, k.keys(owner), name, was, data, k.bound.Most, k.bound.Bytes, k.bound.Idle.Milliseconds(), k.changes.name, k.notice(name)).Int()
		done = n == 1
		return err
	})
	return done, err
}

// Use reads an entry, nil for none, and notes that it is used.
func (k *Kept) Use(ctx context.Context, owner, name string) (data []byte, err error) {
	err = k.store.do(ctx, func(ctx context.Context) error {
		text, err := k.use.Run(ctx, k.store.client, k.keys(owner), name, k.bound.Idle.Milliseconds()).Text()
		if err == nil {
			data = []byte(text)
		}
		return err
	})
	if err == goredis.Nil { //nolint:errorlint // do does not wrap it
		return nil, nil
	}
	return data, err
}

// Drop forgets an entry.
func (k *Kept) Drop(ctx context.Context, owner, name string) error {
	return k.store.do(ctx, func(ctx context.Context) error {
		return k.drop.Run(ctx, k.store.client, k.keys(owner), name, k.changes.name, k.notice(name)).Err()
	})
}
