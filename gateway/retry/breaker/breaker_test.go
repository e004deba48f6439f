package breaker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/retry/breaker"
)

func fail(b *breaker.Breaker, n int) {
	for range n {
		if b.Allow() {
			b.Done(breaker.Failed, time.Now())
		}
	}
}

func TestBreaker(t *testing.T) {
	cases := map[string]struct {
		do   func(*breaker.Breaker)
		want bool // a call is allowed afterwards
	}{
		"new":                 {func(*breaker.Breaker) {}, true},
		"two failures":        {func(b *breaker.Breaker) { fail(b, 2) }, true},
		"three failures":      {func(b *breaker.Breaker) { fail(b, 3) }, false},
		"success in between":  {func(b *breaker.Breaker) { fail(b, 2); b.Done(breaker.OK, time.Now()); fail(b, 2) }, true},
		"after the rest":      {func(b *breaker.Breaker) { fail(b, 3); time.Sleep(time.Second) }, true},
		"one probe at a time": {func(b *breaker.Breaker) { fail(b, 3); time.Sleep(time.Second); b.Allow() }, false},
		"probe failed":        {func(b *breaker.Breaker) { fail(b, 3); time.Sleep(time.Second); fail(b, 1) }, false},
		"probe says nothing": {func(b *breaker.Breaker) {
			fail(b, 3)
			time.Sleep(time.Second)
			b.Allow()
			b.Done(breaker.Nothing, time.Now())
		}, true},
		"probe succeeded": {func(b *breaker.Breaker) {
			fail(b, 3)
			time.Sleep(time.Second)
			b.Allow()
			b.Done(breaker.OK, time.Now())
			b.Allow()
		}, true},
		"others are answered":  {slowOne, true},
		"late success counts":  {func(b *breaker.Breaker) { fail(b, 3); b.Done(breaker.OK, time.Now()) }, true},
		"failures start again": {func(b *breaker.Breaker) { fail(b, 3); b.Done(breaker.OK, time.Now()); fail(b, 2) }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &breaker.Breaker{Failures: 3, Rest: time.Second}
				tc.do(b)
				if got := b.Allow(); got != tc.want {
					t.Errorf("allowed: got %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// With Within failures are counted whatever succeeds between them, each try that fails
// rests longer, and only the call that tries closes the breaker.
func TestBreakerThatCountsInAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		b := &breaker.Breaker{Failures: 3, Within: 10 * time.Second, Rest: time.Second, Longest: 4 * time.Second, Opened: func() { opened++ }}
		old := time.Now()
		fail(b, 2)
		time.Sleep(11 * time.Second)
		fail(b, 2)
		b.Done(breaker.OK, old)
		if b.Open() {
			t.Fatal("failures of two windows were counted together")
		}
		fail(b, 1)
		b.Done(breaker.OK, old)
		if !b.Open() || opened != 1 {
			t.Fatalf("open %v after three failures in a window, opened %d times", b.Open(), opened)
		}
		for _, rest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			if w := b.Wait(); w < rest/2 || w > rest {
				t.Errorf("rests %s, want %s to %s", w, rest/2, rest)
			}
			time.Sleep(b.Wait())
			fail(b, 1)
		}
		time.Sleep(b.Wait())
		b.Allow()
		b.Done(breaker.OK, time.Now())
		if b.Open() || b.Wait() != 0 {
			t.Error("the try succeeded, and the breaker is open")
		}
		b.Trip()
		if !b.Open() {
			t.Error("a breaker that was tripped is closed")
		}
	})
}

// slowOne lets one operation time out again and again while others are answered.
func slowOne(b *breaker.Breaker) {
	for range 10 {
		start := time.Now()
		time.Sleep(time.Second)
		b.Done(breaker.OK, time.Now())
		b.Done(breaker.Failed, start)
	}
}

func ExampleBreaker() {
	b := &breaker.Breaker{Failures: 2, Rest: time.Minute}
	for range 3 {
		if !b.Allow() {
			fmt.Println("not even tried")
			continue
		}
		b.Done(breaker.Failed, time.Now())
		fmt.Println("failed")
	}
	// Output:
	// failed
	// failed
	// not even tried
}
