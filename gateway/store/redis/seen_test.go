package redis_test

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/auth/peer"
	"portcullis/gateway/limit"
	"portcullis/gateway/store/redis"
)

// TestAProofIsUsedOnce: of many replicas that are shown one at the same time, one takes it.
func TestAProofIsUsedOnce(t *testing.T) {
	r := server(t)
	replicas := []*redis.Store{open(t, r.URL()), open(t, r.URL()), open(t, r.URL())}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			seen, err := replicas[i%3].Seen("key.jti", time.Now().Add(time.Hour))
			if err != nil {
				t.Error(err)
			}
			if !seen {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("the proof was taken %d times", taken.Load())
	}
	if seen, err := replicas[0].Seen("key.other", time.Now().Add(time.Hour)); seen || err != nil {
		t.Errorf("another proof: %v, %v", seen, err)
	}
	if _, err := replicas[0].Seen("short", time.Now().Add(-time.Hour)); err != nil {
		t.Errorf("one that is over: %v", err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := replicas[0].Seen("later", time.Now().Add(time.Hour)); !errors.Is(err, redis.ErrAway) {
		t.Errorf("without Redis: %v, want away", err)
	}
}

// TestFailuresCountTogether: an address that is at its bound at one replica is blocked at
// another after its first failure there, and what each counts without Redis is its own.
func TestFailuresCountTogether(t *testing.T) {
	r := server(t)
	replica := func() *peer.Failures {
		s := open(t, r.URL())
		return peer.NewFailures(10, func(host string, most int, every time.Duration) (time.Duration, error) {
			l, err := s.Spend(limit.Key{Caller: host}, limit.Charge{Cost: 1, Burst: most, Interval: every}, time.Time{})
			return l.Full, err
		})
	}
	a, b, addr := replica(), replica(), netip.MustParseAddr("192.0.2.1")
	for range 10 {
		a.Add(addr, time.Now())
	}
	if a.Blocked(addr, time.Now()) == 0 {
		t.Error("ten failures do not block")
	}
	if b.Blocked(addr, time.Now()) != 0 {
		t.Error("the other replica cannot know yet")
	}
	b.Add(addr, time.Now())
	if b.Blocked(addr, time.Now()) == 0 {
		t.Error("one more failure does not block at the other replica")
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	other := netip.MustParseAddr("192.0.2.2")
	for range 10 {
		b.Add(other, time.Now())
	}
	if b.Blocked(other, time.Now()) == 0 {
		t.Error("without Redis failures do not count")
	}
}
