package redis_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
	"portcullis/gateway/store/redis"
)

// limiter is one replica's, with a tier of so many places and tokens; nil is one without replicas.
func limiter(p *redis.Places, without string) *limit.Limiter {
	tier := op.Tier{Name: "standard", Requests: 1, Window: time.Hour, Burst: 20, Streams: 2, Concurrent: 3, WithoutStore: without}
	c := limit.Config{Enabled: true, Tier: func(string) (op.Tier, bool) { return tier, true }}
	if p != nil {
		c.Shared, c.Places, c.Enter = redis.SpendOf(p), p.Take, p.Enter
	}
	return limit.New(c)
}

// replicas are two places for limits, of which each has to do the same: those of this process
// and those of all replicas.
func replicas(t *testing.T) map[string][2]*limit.Limiter {
	r := server(t)
	one, two := open(t, r.URL()).NewPlaces(), open(t, r.URL()).NewPlaces()
	run(t, one.Run)
	run(t, two.Run)
	own := limiter(nil, "")
	return map[string][2]*limit.Limiter{"process": {own, own}, "redis": {limiter(one, ""), limiter(two, "")}}
}

// TestACallTakesTokenAndPlace: both or none, also at many replicas at once.
func TestACallTakesTokenAndPlace(t *testing.T) {
	for name, l := range replicas(t) {
		t.Run(name, func(t *testing.T) {
			d := &op.Decision{Allow: true, Tier: "standard"}
			enter := func(i int, who string) (func(), error) {
				return l[i%2].Enter(&op.Bound{Op: &op.Op{Spec: op.Spec{Name: "kv.read"}}, Caller: &call.Caller{Subject: who}}, d)
			}
			var held []func()
			for i := range 3 {
				release, err := enter(i, "a")
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, release)
			}
			for i := range 4 { // for want of a place: it costs nothing
				if _, err := enter(i, "a"); !call.Is(err, call.RateLimited) || call.AsError(err).RetryAfter > time.Second {
					t.Errorf("fourth of three at once: %v", err)
				}
			}
			for _, release := range held {
				release()
				release()
			}
			for i := range 17 { // what is left of 20
				release, err := enter(i, "a")
				if err != nil {
					t.Fatalf("call %d: %v", i, err)
				}
				release()
			}
			for i := range 4 { // for want of a token: it takes no place
				if _, err := enter(i, "a"); !call.Is(err, call.RateLimited) || call.AsError(err).RetryAfter < time.Minute {
					t.Errorf("without a token: %v", err)
				}
			}
			for i := range 3 {
				if _, err := l[i%2].Hold(&call.Caller{Subject: "a"}, "standard", limit.Running); err != nil {
					t.Errorf("place %d after refusals: %v", i, err)
				}
			}
			if _, err := enter(0, "b"); err != nil {
				t.Errorf("another caller: %v", err)
			}
		})
	}
}

// TestTokensAndPlacesAtOnce: rate and burst pass and not one call more, and never more at once
// than there are places.
func TestTokensAndPlacesAtOnce(t *testing.T) {
	for name, l := range replicas(t) {
		t.Run(name, func(t *testing.T) {
			var passed, running, most atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 25 {
						release, err := l[i%2].Enter(&op.Bound{Op: &op.Op{Spec: op.Spec{Name: "kv.read"}}, Caller: &call.Caller{Subject: "a"}}, &op.Decision{Allow: true})
						if err != nil {
							continue
						}
						passed.Add(1)
						if now := running.Add(1); now > most.Load() {
							most.Store(now)
						}
						running.Add(-1)
						release()
					}
				})
			}
			wg.Wait()
			if most.Load() > 3 || passed.Load() > 20 {
				t.Errorf("%d calls pass, %d at once; want 20 and 3 at most", passed.Load(), most.Load())
			}
			for i := range 20 - int(passed.Load()) { // what was refused for want of a place has left its token
				release, err := l[i%2].Enter(&op.Bound{Op: &op.Op{Spec: op.Spec{Name: "kv.read"}}, Caller: &call.Caller{Subject: "a"}}, &op.Decision{Allow: true})
				if err != nil {
					t.Fatalf("after %d of 20: %v", passed.Load(), err)
				}
				passed.Add(1)
				release()
			}
		})
	}
}

// TestPlaces holds those of this process and those of all replicas to the same; of the latter,
// two replicas have what one has.
func TestPlaces(t *testing.T) {
	for name, l := range replicas(t) {
		t.Run(name, func(t *testing.T) {
			hold := func(i int, who string, k budget.Kind, ok bool) func() {
				t.Helper()
				release, err := l[i%2].Hold(&call.Caller{Subject: who}, "standard", k)
				if (err == nil) != ok || err != nil && !call.Is(err, call.RateLimited) {
					t.Fatalf("%s, %s at %d: got %v", who, k, i, err)
				}
				return release
			}
			first := hold(0, "a", limit.Stream, true)
			hold(1, "a", limit.Stream, true)
			hold(0, "a", limit.Stream, false)
			hold(1, "a", limit.Stream, false)
			for i := range 3 {
				hold(i, "a", limit.Running, true)
			}
			hold(0, "a", limit.Running, false)
			hold(0, "b", limit.Stream, true)
			first()
			first()
			hold(1, "a", limit.Stream, true)
			hold(0, "a", limit.Stream, false)
		})
	}
}

// TestPlacesEndWithTheirReplica: those that nobody renews are free again; those of a replica
// that is there are not, also when Redis has lost them.
func TestPlacesEndWithTheirReplica(t *testing.T) {
	r := server(t)
	ended, here := open(t, r.URL()).NewPlaces(), open(t, r.URL()).NewPlaces()
	redis.SetLease(ended, 300*time.Millisecond)
	redis.SetLease(here, 300*time.Millisecond)
	run(t, here.Run)
	take := func() bool { _, ok, err := here.Take("a", "streams", 2); return ok && err == nil }
	if _, ok, err := ended.Take("a", "streams", 2); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if !take() || take() {
		t.Error("want two places in all")
	}
	e2e.Eventually(t, "the place of a replica that has ended", take)
	if take() {
		t.Error("a place that is renewed is given away")
	}
	c := client(t, r)
	c.FlushAll(t.Context())
	e2e.Eventually(t, "places that Redis had lost", func() bool { return c.DBSize(t.Context()).Val() > 0 })
	if take() {
		t.Error("a place that Redis had lost is given away")
	}
}

// TestAPlaceWhoseAnswerWasLostIsGivenBack: long before its lease ends, as is one that Redis
// could not be told was released.
func TestAPlaceWhoseAnswerWasLostIsGivenBack(t *testing.T) {
	r := server(t)
	places := open(t, r.URL()).NewPlaces()
	redis.SetLease(places, time.Hour)
	run(t, places.Run)
	members := taken(t, r)
	first, ok, err := places.Take("a", "streams", 2)
	if !ok || err != nil || members() != 1 {
		t.Fatalf("got %v, %v", ok, err)
	}
	if err := r.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, _, err := places.Take("a", "streams", 2); err == nil {
		t.Error("a Redis that stands still gives a place")
	}
	first()
	if err := r.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "both places", func() bool { return members() == 0 })
}

// taken counts the places that are taken in Redis.
func taken(t *testing.T, r *stack.Redis) func() int64 {
	c := client(t, r)
	return func() (n int64) {
		for _, key := range c.Keys(t.Context(), "*places*").Val() {
			n += c.ZCard(t.Context(), key).Val()
		}
		return n
	}
}

// TestARenewalTakesNothingAgain: a place that was given back between a look at those that are
// held and their renewal stays free; one that Redis has lost is taken again.
func TestARenewalTakesNothingAgain(t *testing.T) {
	r := server(t)
	places := open(t, r.URL()).NewPlaces()
	redis.SetLease(places, time.Hour)
	run(t, places.Run)
	members := taken(t, r)
	var releases [2]func()
	for i := range releases {
		releases[i], _, _ = places.Take("a", "streams", 2)
	}
	redis.Renew(places, func() {
		releases[0]()
		e2e.Eventually(t, "the place is given back", func() bool { return members() == 1 })
	})
	if n := members(); n != 1 {
		t.Errorf("%d places are taken after the renewal, want 1", n)
	}
	client(t, r).FlushAll(t.Context())
	redis.Renew(places, func() {})
	if n := members(); n != 1 {
		t.Errorf("%d places are taken after Redis lost them, want 1", n)
	}
}

// TestPlacesAreGivenBackAtTheEnd: those that wait to be given back when the replica ends, and
// those that are released after that.
func TestPlacesAreGivenBackAtTheEnd(t *testing.T) {
	r := server(t)
	places := open(t, r.URL()).NewPlaces()
	var releases []func()
	for range 300 {
		release, ok, err := places.Take("a", "calls", 1000)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		releases = append(releases, release)
	}
	for _, release := range releases[1:] {
		release() // nobody gives them back yet
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	places.Run(ctx)
	releases[0]()
	if n := taken(t, r)(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

// TestPlacesWithoutTheStore: as many as the tier says at each replica, or none.
func TestPlacesWithoutTheStore(t *testing.T) {
	r := server(t)
	places := open(t, r.URL()).NewPlaces()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	c := &call.Caller{Subject: "a"}
	if _, err := limiter(places, op.StoreDeny).Hold(c, "standard", limit.Stream); !call.Is(err, call.Overloaded) {
		t.Errorf("deny: got %v", err)
	}
	local := limiter(places, op.StoreLocal)
	for i := range 3 {
		if _, err := local.Hold(c, "standard", limit.Stream); (err == nil) != (i < 2) {
			t.Errorf("local, %d: got %v", i, err)
		}
	}
}
