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
	All   int // entries of all owners, 0 for no bound
}

// swapSource replaces an entry of an owner when it is as it was. Entries are fields of one
// hash, their last uses a sorted set; what is idle goes first, then the one that was used
// longest ago, until there is room. It returns what went, behind a 1.
const swapSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local name, was, data = ARGV[1], ARGV[2], ARGV[3]
local most, bytes, idle = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - idle)) do
  redis.call('HDEL', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
end
local is = redis.call('HGET', KEYS[1], name)
if (is or '') ~= was then return is and {'0'} or {'0', name} end
redis.call('HDEL', KEYS[1], name)
redis.call('ZREM', KEYS[2], name)
if #data > bytes then return {'0', name} end
local held, all = 0, redis.call('ZRANGE', KEYS[2], 0, -1)
for _, other in ipairs(all) do held = held + redis.call('HSTRLEN', KEYS[1], other) end
local left, gone = #all, {'1'}
for _, other in ipairs(all) do
  if left < most and held + #data <= bytes then break end
  held = held - redis.call('HSTRLEN', KEYS[1], other)
  left = left - 1
  redis.call('HDEL', KEYS[1], other)
  redis.call('ZREM', KEYS[2], other)
  gone[#gone + 1] = other
end
redis.call('HSET', KEYS[1], name, data)
redis.call('ZADD', KEYS[2], now, name)
redis.call('PEXPIRE', KEYS[1], idle)
redis.call('PEXPIRE', KEYS[2], idle)
redis.call('PUBLISH', ARGV[7], ARGV[8])
return gone`

// dropSource forgets an entry of an owner.
const dropSource = `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`

// useSource reads an entry of an owner and notes that it is used. It says as well whether that
// is the first time in a quarter of the time that it is kept unused.
const useSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local idle = tonumber(ARGV[2])
local last = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not last or tonumber(last) <= now - idle then return false end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], idle)
redis.call('PEXPIRE', KEYS[2], idle)
local quarter = idle / 4
return {redis.call('HGET', KEYS[1], ARGV[1]), math.floor(last / quarter) ~= math.floor(now / quarter) and '1' or '0'}`

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
	all             *total
	swap, use, drop *goredis.Script
}

// NewKept makes a place for entries of a kind, for a replica of a name.
func (s *Store) NewKept(kind, self string, b Bound) *Kept {
	return &Kept{
		store: s, kind: kind, self: self, bound: b, changes: s.NewChannel(kind), all: s.newTotal(kind, b.All),
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

// counted is for how long an entry counts among those of everybody: it is counted anew in each
// quarter of the time that it may be unused.
func (k *Kept) counted() time.Duration { return k.bound.Idle + k.bound.Idle/4 }

// Swap replaces an entry that is as was; empty is one that is not there. It reports whether
// it was, and has replaced it. Its error is ErrFull for one more than there may be.
func (k *Kept) Swap(ctx context.Context, owner, name string, was, data []byte) (done bool, err error) {
	if err := k.all.take(ctx, name, k.counted()); err != nil {
		return false, err
	}
	var out []string
	err = k.store.do(ctx, func(ctx context.Context) (err error) {
		out, err = k.swap.Run(ctx, k.store.client, k.keys(owner), name, was, data, k.bound.Most, k.bound.Bytes, k.bound.Idle.Milliseconds(), k.changes.name, k.notice(name)).StringSlice()
		if err == nil && len(out) == 0 {
			err = errNoAnswer
		}
		return err
	})
	if err != nil {
		return false, err
	}
	k.all.give(ctx, out[1:]...)
	return out[0] == "1", nil
}

// Use reads an entry, nil for none, and notes that it is used.
func (k *Kept) Use(ctx context.Context, owner, name string) (data []byte, err error) {
	var out []string
	err = k.store.do(ctx, func(ctx context.Context) (err error) {
		out, err = k.use.Run(ctx, k.store.client, k.keys(owner), name, k.bound.Idle.Milliseconds()).StringSlice()
		return err
	})
	if err == goredis.Nil { //nolint:errorlint // do does not wrap it
		return nil, nil
	}
	if err != nil || len(out) != 2 {
		return nil, err
	}
	if out[1] == "1" {
		_ = k.all.take(ctx, name, k.counted()) // it is there, however many others are
	}
	return []byte(out[0]), nil
}

// Drop forgets an entry.
func (k *Kept) Drop(ctx context.Context, owner, name string) error {
	err := k.store.do(ctx, func(ctx context.Context) error {
		return k.drop.Run(ctx, k.store.client, k.keys(owner), name, k.changes.name, k.notice(name)).Err()
	})
	if err == nil {
		k.all.give(ctx, name)
	}
	return err
}
