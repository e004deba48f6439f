package redis

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/retry"
)

// A place is leased for placeLease, and whoever holds it renews the lease placeRenewals times
// in that: the places of a replica that has ended are free again after placeLease at the latest.
const (
	placeLease    = 30 * time.Second
	placeRenewals = 3
)

// takeSource takes a place when fewer than so many are taken. Places are members of a sorted
// set, their scores the millisecond at which their lease ends.
const takeSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

// renewSource renews places, and takes again those that Redis has lost.
const renewSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`

// Places are those of callers at all replicas. They are safe for concurrent use.
type Places struct {
	store       *Store
	take, renew *goredis.Script
	lease       time.Duration

	mu   sync.Mutex // guards held
	held map[string]map[string]bool
}

// NewPlaces makes what this replica takes places with. Run renews them.
func (s *Store) NewPlaces() *Places {
	return &Places{
		store: s, take: goredis.NewScript(takeSource), renew: goredis.NewScript(renewSource),
		lease: placeLease, held: map[string]map[string]bool{},
	}
}

// Take implements limit.Place for all replicas. While Redis is away it takes none, and its
// error says so.
func (p *Places) Take(caller, what string, most int) (release func(), ok bool, err error) {
	key, member := p.store.key("places", caller, what), rand.Text()[:16]
	err = p.store.do(context.Background(), func(ctx context.Context) error {
		n, err := p.take.Run(ctx, p.store.client, []string{key}, member, most, p.lease.Milliseconds()).Int()
		ok = n == 1
		return err
	})
	if err != nil || !ok {
		return nil, false, err
	}
	p.hold(key, member)
	return sync.OnceFunc(func() { p.release(key, member) }), true, nil
}

func (p *Places) hold(key, member string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key] == nil {
		p.held[key] = map[string]bool{}
	}
	p.held[key][member] = true
}

// release gives a place back. One that Redis cannot be told of ends with its lease.
func (p *Places) release(key, member string) {
	p.mu.Lock()
	delete(p.held[key], member)
	if len(p.held[key]) == 0 {
		delete(p.held, key)
	}
	p.mu.Unlock()
	p.remove(context.Background(), key, member)
}

func (p *Places) remove(ctx context.Context, key string, members ...any) {
	_ = p.store.do(ctx, func(ctx context.Context) error { return p.store.client.ZRem(ctx, key, members...).Err() })
}

// Run renews the places of this replica until ctx ends.
func (p *Places) Run(ctx context.Context) {
	for retry.Sleep(ctx, retry.Jitter(p.lease/placeRenewals, 8)) {
		for key, members := range p.snapshot() {
			p.prolong(ctx, key, members)
		}
	}
}

func (p *Places) snapshot() map[string][]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string][]any, len(p.held))
	for key, members := range p.held {
		for m := range members {
			out[key] = append(out[key], m)
		}
	}
	return out
}

// prolong renews places of a key, and gives those back that were released meanwhile.
func (p *Places) prolong(ctx context.Context, key string, members []any) {
	err := p.store.do(ctx, func(ctx context.Context) error {
		return p.renew.Run(ctx, p.store.client, []string{key}, append([]any{p.lease.Milliseconds()}, members...)...).Err()
	})
	if err != nil {
		return // the next round tries again, and a lease outlives two
	}
	var gone []any
	p.mu.Lock()
	for _, m := range members {
		if name, _ := m.(string); !p.held[key][name] {
			gone = append(gone, m)
		}
	}
	p.mu.Unlock()
	if len(gone) > 0 {
		p.remove(ctx, key, gone...)
	}
}
