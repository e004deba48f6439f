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
	placeLooks    = 10 // at strays, between two renewals
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

	strays strays

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
	if err != nil { // perhaps of the answer alone
		p.strays.add(key, member, p.lease)
		return nil, false, err
	}
	if !ok {
		return nil, false, nil
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

// release gives a place back. Of one that Redis cannot be told of now it is told later.
func (p *Places) release(key, member string) {
	p.mu.Lock()
	delete(p.held[key], member)
	if len(p.held[key]) == 0 {
		delete(p.held, key)
	}
	p.mu.Unlock()
	if p.remove(context.Background(), key, member) != nil {
		p.strays.add(key, member, p.lease)
	}
}

func (p *Places) remove(ctx context.Context, key, member string) error {
	return p.store.do(ctx, func(ctx context.Context) error { return p.store.client.ZRem(ctx, key, member).Err() })
}

// Run renews the places of this replica until ctx ends.
func (p *Places) Run(ctx context.Context) {
	for look := 1; retry.Sleep(ctx, retry.Jitter(min(placeLease, p.lease)/(placeRenewals*placeLooks), 8)); look++ {
		p.strays.clear(func(key, member string) error { return p.remove(ctx, key, member) })
		if look%placeLooks > 0 {
			continue
		}
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

// prolong renews places of a key. Those that were released meanwhile are taken again by
// that, whatever came of it, so they are given back.
func (p *Places) prolong(ctx context.Context, key string, members []any) {
	_ = p.store.do(ctx, func(ctx context.Context) error { // the next round tries again, and a lease outlives two
		return p.renew.Run(ctx, p.store.client, []string{key}, append([]any{p.lease.Milliseconds()}, members...)...).Err()
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range members {
		if name, _ := m.(string); !p.held[key][name] {
			p.strays.add(key, name, p.lease)
		}
	}
}
