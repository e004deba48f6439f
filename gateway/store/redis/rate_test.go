package redis_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/limit"
	"portcullis/gateway/retry"
	"portcullis/gateway/store/redis"
)

// buckets are the two places for them, of which each has to do the same.
func buckets(t *testing.T) map[string]limit.Spend {
	return map[string]limit.Spend{
		"memory": limit.NewMemory(1000).Spend,
		"redis":  open(t, server(t).URL()).Spend,
	}
}

func spend(t *testing.T, s limit.Spend, k limit.Key, c limit.Charge) limit.Level {
	t.Helper()
	l, err := s(k, c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBuckets(t *testing.T) {
	for name, s := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			c, k := limit.Charge{Cost: 2, Burst: 10, Interval: time.Hour}, limit.Key{Caller: "a", Tier: "x"}
			for i := range 5 {
				if l := spend(t, s, k, c); l.Retry != 0 || l.Full > time.Duration(i+1)*2*time.Hour || l.Full < time.Duration(i+1)*2*time.Hour-time.Minute {
					t.Fatalf("charge %d: %+v", i, l)
				}
			}
			if l := spend(t, s, k, c); l.Retry > 2*time.Hour || l.Retry < 2*time.Hour-time.Minute || l.Full > 10*time.Hour {
				t.Errorf("an empty bucket: %+v, want to wait for two tokens", l)
			}
			c.Cost = 0
			if l := spend(t, s, k, c); l.Retry != 0 || l.Full < 9*time.Hour {
				t.Errorf("a look: %+v", l)
			}
			c.Cost = 1
			for _, other := range []limit.Key{{Caller: "a", Tier: "y"}, {Caller: "b", Tier: "x"}, {Caller: "ax"}, {Tier: "ax"}} {
				if l := spend(t, s, other, c); l.Full > time.Hour {
					t.Errorf("the bucket %+v is not a new one: %+v", other, l)
				}
			}
			c.Cost = 11
			if l := spend(t, s, limit.Key{Caller: "c"}, c); l.Retry <= 0 {
				t.Errorf("a charge beyond the bucket: %+v", l)
			}
		})
	}
}

// TestATierThatIsRaised: who has used up a slow tier waits for a token of the tier as it is
// now, and not as it was.
func TestATierThatIsRaised(t *testing.T) {
	for name, s := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			slow, fast, k := limit.Charge{Cost: 10, Burst: 10, Interval: time.Hour}, limit.Charge{Cost: 1, Burst: 5, Interval: time.Second}, limit.Key{Caller: "a", Tier: "x"}
			spend(t, s, k, slow)
			if l := spend(t, s, k, fast); l.Retry <= 0 || l.Retry > time.Second || l.Full > 5*time.Second {
				t.Errorf("got %+v, want an empty bucket of the faster tier", l)
			}
		})
	}
}

func TestTokensComeBack(t *testing.T) {
	for name, s := range buckets(t) {
		t.Run(name, func(t *testing.T) {
			c, k := limit.Charge{Cost: 1, Burst: 1, Interval: 300 * time.Millisecond}, limit.Key{Caller: "a"}
			spend(t, s, k, c)
			l := spend(t, s, k, c)
			for l.Retry > 0 {
				retry.Sleep(t.Context(), l.Retry)
				l = spend(t, s, k, c)
			}
			if l.Full > c.Interval {
				t.Errorf("more than the one token was taken: %+v", l)
			}
		})
	}
}

// TestReplicasShareABucket: many at once take what one could take, not one token more.
func TestReplicasShareABucket(t *testing.T) {
	r := server(t)
	replicas := []*redis.Store{open(t, r.URL()), open(t, r.URL()), open(t, r.URL())}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for range 100 {
				l, err := replicas[i%3].Spend(limit.Key{Caller: "a", Tier: "standard"}, limit.Charge{Cost: 1, Burst: 600, Interval: time.Hour}, time.Time{})
				if err != nil {
					t.Error(err)
				}
				if l.Retry == 0 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 600 {
		t.Errorf("%d charges pass, want 600", passed.Load())
	}
}

// TestRedisAway: operations fail soon, and go on after it has come back.
func TestRedisAway(t *testing.T) {
	r := server(t)
	s := open(t, r.URL())
	take := func() error {
		_, err := s.Spend(limit.Key{Caller: "a"}, limit.Charge{Cost: 1, Burst: 10, Interval: time.Second}, time.Time{})
		return err
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := take(); !errors.Is(err, redis.ErrAway) {
			t.Errorf("got %v, want away", err)
		}
	}
	if s.Health() == nil {
		t.Error("it does not say that Redis is away")
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "back", func() bool { return take() == nil && s.Health() == nil })
}

// TestAnEmptyAddressIsAway: nobody listens from the beginning.
func TestAnAddressWithoutRedisIsAway(t *testing.T) {
	s := open(t, "redis://127.0.0.1:1")
	if _, err := s.Spend(limit.Key{}, limit.Charge{Cost: 1, Burst: 1, Interval: time.Second}, time.Time{}); !errors.Is(err, redis.ErrAway) {
		t.Errorf("got %v, want away", err)
	}
}

func BenchmarkSpend(b *testing.B) {
	s := open(b, server(b).URL())
	for b.Loop() {
		if _, err := s.Spend(limit.Key{Caller: "a"}, limit.Charge{Cost: 1, Burst: 1e9, Interval: time.Microsecond}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
