package redis_test

import (
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
	"portcullis/gateway/store/redis"
)

// limiter is one replica's, with a tier of so many places.
func limiter(places limit.Place, without string) *limit.Limiter {
	tier := op.Tier{Name: "standard", Requests: 1, Window: time.Second, Burst: 1, Streams: 2, Concurrent: 3, WithoutStore: without}
	return limit.New(limit.Config{Enabled: true, Places: places, Tier: func(string) (op.Tier, bool) { return tier, true }})
}

// TestPlaces holds those of this process and those of all replicas to the same; of the latter,
// two replicas have what one has.
func TestPlaces(t *testing.T) {
	r := server(t)
	one, two := open(t, r.URL()).NewPlaces(), open(t, r.URL()).NewPlaces()
	own := limiter(nil, "")
	for name, l := range map[string][2]*limit.Limiter{"process": {own, own}, "redis": {limiter(one.Take, ""), limiter(two.Take, "")}} {
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
	c := client(t, r)
	members := func() (n int64) {
		for _, key := range c.Keys(t.Context(), "*places*").Val() {
			n += c.ZCard(t.Context(), key).Val()
		}
		return n
	}
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

// TestPlacesWithoutTheStore: as many as the tier says at each replica, or none.
func TestPlacesWithoutTheStore(t *testing.T) {
	r := server(t)
	places := open(t, r.URL()).NewPlaces()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	c := &call.Caller{Subject: "a"}
	if _, err := limiter(places.Take, op.StoreDeny).Hold(c, "standard", limit.Stream); !call.Is(err, call.Overloaded) {
		t.Errorf("deny: got %v", err)
	}
	local := limiter(places.Take, op.StoreLocal)
	for i := range 3 {
		if _, err := local.Hold(c, "standard", limit.Stream); (err == nil) != (i < 2) {
			t.Errorf("local, %d: got %v", i, err)
		}
	}
}
