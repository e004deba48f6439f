package capacity_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
	"portcullis/gateway/vault/readcache"
	"portcullis/gateway/vault/tokencache"
)

var parts = flag.Int("parts", 100, "simulate one such part of the callers and their calls; 1 for all of them, which takes minutes")

// The simulated time: what happens in the first part of it, until caches hold what they hold
// from then on, is not counted. Calls of one tick come at the same time.
const (
	warm, counted = 200 * time.Second, 250 * time.Second
	tick          = 10 * time.Millisecond
)

// fleet is the limiters and caches of replicas. Redis and Vault are counted.
type fleet struct {
	load
	replicas []*replica
	random   *rand.Rand
	began    time.Time
	due      float64 // ticks until the next call

	full                    map[limit.Key]time.Time // buckets that are not
	calls, scripts, limited int
	reads                   int
	tokens                  atomic.Int64
}

type replica struct {
	limiter *limit.Limiter
	cache   readcache.Cache
	tokens  map[int]*tokencache.Source // by caller
}

func newFleet(l load) *fleet {
	f := &fleet{load: l, began: time.Now(), random: rand.New(rand.NewPCG(1, 2)), full: map[limit.Key]time.Time{}}
	buckets, tier := limit.NewMemory(4*l.callers+1000), op.Tier{Name: "standard", Requests: requests, Window: window, Burst: burst}
	shared := func(k limit.Key, c limit.Charge, now time.Time) (limit.Level, error) {
		f.scripts++
		level, err := buckets.Spend(k, c, now)
		f.full[k] = now.Add(level.Full)
		return level, err
	}
	for range l.replicas {
		budgets := budget.New(budget.Defaults())
		f.replicas = append(f.replicas, &replica{
			limiter: limit.New(limit.Config{
				Enabled: true, Budgets: budgets, Shared: shared, Tier: func(string) (op.Tier, bool) { return tier, true },
			}),
			cache:  readcache.Cache{TTL: cachedFor, MaxBytes: 32 << 20, MaxCount: 32 << 10, Budgets: budgets},
			tokens: map[int]*tokencache.Source{},
		})
	}
	return f
}

// enter is the limiter's part of a call at a replica.
func (f *fleet) enter(r *replica, caller string) bool {
	b := &op.Bound{Caller: &call.Caller{Subject: caller}, Op: &op.Op{Spec: op.Spec{Name: "kv.read", Effect: op.Read}}}
	release, err := r.limiter.Enter(b, &op.Decision{Allow: true, Tier: "standard"})
	if err != nil {
		return false
	}
	release()
	return true
}

// read is a call that reads a secret of its caller's. Callers begin one after another, so that
// their tokens do not end together.
func (f *fleet) read(ctx context.Context, caller int) error {
	if float64(caller)/float64(f.callers) > time.Since(f.began).Seconds()/warm.Seconds() {
		return nil
	}
	at := f.random.IntN(len(f.replicas))
	if f.sticky {
		at = caller % len(f.replicas)
	}
	r, name := f.replicas[at], strconv.Itoa(caller)
	f.calls++
	if !f.enter(r, name) {
		f.limited++
		return nil
	}
	if r.tokens[caller] == nil {
		r.tokens[caller] = &tokencache.Source{Ahead: true, Timeout: time.Second, Get: func(context.Context) (tokencache.Token, error) {
			f.tokens.Add(1)
			return tokencache.Token{Value: "token", Life: tokenTTL}, nil
		}}
	}
	token, err := r.tokens[caller].Token(ctx)
	if err != nil {
		return err
	}
	path, err := call.ParsePath("mcp/" + name)
	if err != nil {
		return err
	}
	body, _, question := r.cache.Get(readcache.Key{Caller: name, Token: token.Born.UnixNano(), Of: call.Resource{Mount: "secret", Path: path}})
	if body == nil {
		f.reads++
		r.cache.Put(question, []byte("secret"))
	}
	return nil
}

// forget drops what is over.
func (f *fleet) forget() (buckets int) {
	now := time.Now()
	for k, full := range f.full {
		if !full.After(now) {
			delete(f.full, k)
		}
	}
	return len(f.full)
}

func (f *fleet) forgetTokens() {
	for _, r := range f.replicas {
		for caller, s := range r.tokens {
			if s.Peek().Left() <= 0 {
				delete(r.tokens, caller)
			}
		}
	}
}

// tick lets one tick of simulated time pass, with its calls.
func (f *fleet) tick(ctx context.Context) error {
	time.Sleep(tick)
	for f.due--; f.due < 0; f.due += f.random.ExpFloat64() / (f.load.calls * tick.Seconds()) {
		if err := f.read(ctx, f.random.IntN(f.callers)); err != nil {
			return err
		}
	}
	return nil
}

// pass lets simulated time pass, and returns how many buckets were not full, on average over
// the seconds.
func (f *fleet) pass(ctx context.Context, d time.Duration) (buckets float64, err error) {
	for i := range int(d / tick) {
		if err := f.tick(ctx); err != nil {
			return 0, err
		}
		if i%int(time.Second/tick) == 0 {
			buckets += float64(f.forget())
		}
		if i%int(time.Minute/tick) == 0 {
			f.forgetTokens()
		}
	}
	return buckets / d.Seconds(), nil
}

// TestTheModelHoldsForTheLimiterAndTheCaches: what a fleet asks of Redis and Vault is what the
// model says.
func TestTheModelHoldsForTheLimiterAndTheCaches(t *testing.T) {
	for _, l := range fleets[:3] { // changes are not simulated
		for _, sticky := range []bool{false, true} {
			l := l
			l.callers, l.calls, l.sticky = l.callers / *parts, l.calls/float64(*parts), sticky
			t.Run(fmt.Sprintf("%d replicas, sticky %v", l.replicas, sticky), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { holds(t, l) })
			})
		}
	}
}

func holds(t *testing.T, l load) {
	f := newFleet(l)
	if _, err := f.pass(t.Context(), warm); err != nil {
		t.Fatal(err)
	}
	f.calls, f.scripts, f.reads = 0, 0, 0
	f.tokens.Store(0)
	buckets, err := f.pass(t.Context(), counted)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if f.scripts != f.calls || f.limited > 0 {
		t.Errorf("%d calls ran %d scripts, %d were refused", f.calls, f.scripts, f.limited)
	}
	seconds := counted.Seconds()
	for what, c := range map[string]struct{ got, want float64 }{
		"calls":   {float64(f.calls), l.calls * seconds},
		"tokens":  {float64(f.tokens.Load()), l.tokens() * seconds},
		"reads":   {float64(f.reads), l.reads() * seconds},
		"buckets": {buckets * seconds, l.buckets() * seconds},
	} {
		if near := 0.04*c.want + 5*math.Sqrt(c.want); math.Abs(c.got-c.want) > near {
			t.Errorf("%s: %.0f, the model says %.0f (within %.0f)", what, c.got, c.want, near)
		}
		t.Logf("%s a second: %.1f, the model says %.1f", what, c.got/seconds, c.want/seconds)
	}
}

// TestCallersBeyondTheirRate: a hundred replicas let burst and rate of each through and not one
// call more, while as many others as there may be call too.
func TestCallersBeyondTheirRate(t *testing.T) {
	const beyond, seconds = 5, 30
	l := fleets[2]
	l.callers, l.calls = l.callers / *parts, l.calls/float64(*parts)
	synctest.Test(t, func(t *testing.T) {
		f, passed := newFleet(l), [beyond]int{}
		for range int(seconds * time.Second / tick) {
			if err := f.tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range passed {
				for range 2 {
					if f.enter(f.replicas[f.random.IntN(len(f.replicas))], "beyond "+strconv.Itoa(i)) {
						passed[i]++
					}
				}
			}
		}
		exact := burst + seconds*requests/int(window.Seconds())
		for i, n := range passed {
			if n > exact || n < exact-1 { // the last token may come back just after the end
				t.Errorf("caller %d: %d of %d calls pass, want %d", i, n, 2*seconds*int(time.Second/tick), exact)
			}
		}
	})
}
