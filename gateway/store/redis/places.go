package redis

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/limit"
	"portcullis/gateway/retry"
)

// A place is leased for placeLease, and whoever holds it renews the lease placeRenewals times
// in that: the places of a replica that has ended are free again after placeLease at the latest.
const (
	placeLease    = 30 * time.Second
	placeRenewals = 3
	placeLooks    = 10 // at strays, between two renewals
)

// A release is not waited for: a place is given back behind the answer, with up to
// placesAtOnce others. The caller's next call may be at another replica before that, so a place
// that is not free is asked for once more after placeAgain.
const (
	placesAtOnce  = 128
	placesWaiting = 4096
	placeAgain    = 20 * time.Millisecond
)

// Places are members of a sorted set, their scores the millisecond at which their lease ends.
// ARGV: member, how many there are, lease.
const takeSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

// enterSource charges a bucket and takes a place, both or neither. ARGV: those of takeSource,
// then those of a charge.
const enterSource = gcraSource + `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return {0, 0, 0} end
local full, retry = spend(KEYS[2], t, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]))
if retry > 0 then return {full, retry, 0} end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {full, 0, 1}`

// renewSource renews places, and returns those that are not there: they were given back just
// now, or Redis has lost them. ARGV: lease, members.
const renewSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local missing = {}
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i])
  else
    missing[#missing + 1] = ARGV[i]
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return missing`

// restoreSource takes places again that Redis has lost, however many are taken. ARGV: lease, members.
const restoreSource = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`

// Places are those of callers at all replicas. They are safe for concurrent use.
type Places struct {
	store                       *Store
	take, enter, renew, restore *goredis.Script
	lease                       time.Duration

	released chan stray  // to be given back
	ended    atomic.Bool // nobody reads released any more
	strays   strays

	mu   sync.Mutex // guards held
	held map[string]map[string]bool
}

// NewPlaces makes what this replica takes places with. Run renews them, and gives back those
// that were released.
func (s *Store) NewPlaces() *Places {
	return &Places{
		store: s, take: goredis.NewScript(takeSource), enter: goredis.NewScript(enterSource),
		renew: goredis.NewScript(renewSource), restore: goredis.NewScript(restoreSource),
		lease: placeLease, released: make(chan stray, placesWaiting), held: map[string]map[string]bool{},
	}
}

func (p *Places) key(caller, what string) string { return p.store.keyIn("places", caller, what) }

// Take implements limit.Place for all replicas. While Redis is away it takes none, and its
// error says so.
func (p *Places) Take(caller, what string, most int) (release func(), ok bool, err error) {
	release, err = p.hold(p.key(caller, what), func(ctx context.Context, key, member string) (taken, full bool, err error) {
		n, err := p.take.Run(ctx, p.store.client, []string{key}, member, most, p.lease.Milliseconds()).Int()
		return n == 1, n == 0, err
	})
	return release, release != nil, err
}

// Enter implements limit.Enter for all replicas, with one round trip.
func (p *Places) Enter(k limit.Key, c limit.Charge, what string, most int) (level limit.Level, release func(), err error) {
	bucket := p.store.bucket(k)
	release, err = p.hold(p.key(k.Caller, what), func(ctx context.Context, key, member string) (taken, full bool, err error) {
		us, err := p.enter.Run(ctx, p.store.client, []string{key, bucket},
			member, most, p.lease.Milliseconds(), c.Cost, c.Burst, c.Interval.Microseconds()).Int64Slice()
		if err != nil {
			return false, false, err
		}
		if len(us) != 3 {
			return false, false, errNoAnswer
		}
		level = levelOf(us)
		return us[2] == 1, us[2] == 0 && us[1] == 0, nil
	})
	return level, release, err
}

// hold takes a place with a script, which reports whether it was taken, and whether none was
// free. The release is nil when it was not taken.
func (p *Places) hold(key string, script func(ctx context.Context, key, member string) (taken, full bool, err error)) (release func(), err error) {
	member, taken, full := rand.Text()[:16], false, false
	for try := range 2 {
		err = p.store.do(context.Background(), func(ctx context.Context) (err error) {
			taken, full, err = script(ctx, key, member)
			return err
		})
		if err != nil { // perhaps of the answer alone
			p.strays.add(key, member, p.lease)
			return nil, err
		}
		if !full || try > 0 {
			break
		}
		retry.Sleep(context.Background(), placeAgain)
	}
	if !taken {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[key] == nil {
		p.held[key] = map[string]bool{}
	}
	p.held[key][member] = true
	return sync.OnceFunc(func() { p.release(stray{key, member}) }), nil
}

// release has a place given back.
func (p *Places) release(one stray) {
	p.mu.Lock()
	delete(p.held[one.key], one.member)
	if len(p.held[one.key]) == 0 {
		delete(p.held, one.key)
	}
	p.mu.Unlock()
	if p.ended.Load() {
		_ = p.remove(context.Background(), one) // else it ends with its lease
		return
	}
	select {
	case p.released <- one:
	default:
		p.strays.add(one.key, one.member, p.lease)
	}
}

// remove gives places back, with one round trip.
func (p *Places) remove(ctx context.Context, all ...stray) error {
	return p.store.do(ctx, func(ctx context.Context) error {
		_, err := p.store.client.Pipelined(ctx, func(c goredis.Pipeliner) error {
			for _, one := range all {
				c.ZRem(ctx, one.key, one.member)
			}
			return nil
		})
		return err
	})
}

// giveBack gives back what is released until ctx ends, and what waits then. Of what Redis
// cannot be told of now it is told later.
func (p *Places) giveBack(ctx context.Context) {
	for {
		select {
		case one := <-p.released:
			p.give(one) //nolint:contextcheck // what is released is given back, whatever ends
		case <-ctx.Done():
			p.ended.Store(true)
			for len(p.released) > 0 {
				p.give(<-p.released) //nolint:contextcheck // as above
			}
			return
		}
	}
}

// give gives one place back, and others that wait.
func (p *Places) give(one stray) {
	all := []stray{one}
	for len(p.released) > 0 && len(all) < placesAtOnce {
		all = append(all, <-p.released)
	}
	if p.remove(context.Background(), all...) != nil {
		for _, one := range all {
			p.strays.add(one.key, one.member, p.lease)
		}
	}
}

// Run looks after the places of this replica until ctx ends.
func (p *Places) Run(ctx context.Context) {
	var giving sync.WaitGroup
	defer giving.Wait()
	giving.Go(func() { p.giveBack(ctx) })
	for look := 1; retry.Sleep(ctx, retry.Jitter(min(placeLease, p.lease)/(placeRenewals*placeLooks), 8)); look++ {
		p.strays.clear(func(one stray) error { return p.remove(ctx, one) })
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

// prolong renews places of a key, and takes again those that Redis has lost.
func (p *Places) prolong(ctx context.Context, key string, members []any) {
	var missing []string
	_ = p.store.do(ctx, func(ctx context.Context) (err error) { // the next round tries again, and a lease outlives two
		missing, err = p.renew.Run(ctx, p.store.client, []string{key}, p.withLease(members)...).StringSlice()
		return err
	})
	lost, _ := p.stillHeld(key, missing)
	if len(lost) == 0 {
		return
	}
	_ = p.store.do(ctx, func(ctx context.Context) error {
		return p.restore.Run(ctx, p.store.client, []string{key}, p.withLease(lost)...).Err()
	})
	if _, gone := p.stillHeld(key, missing); len(gone) > 0 { // meanwhile, so they may be taken by nobody
		for _, member := range gone {
			p.strays.add(key, member, p.lease)
		}
	}
}

func (p *Places) withLease(members []any) []any {
	return append([]any{p.lease.Milliseconds()}, members...)
}

// stillHeld parts places into those that are held and those that were released.
func (p *Places) stillHeld(key string, members []string) (held []any, gone []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range members {
		if p.held[key][m] {
			held = append(held, m)
		} else {
			gone = append(gone, m)
		}
	}
	return held, gone
}
