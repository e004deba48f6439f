package breaker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/vault/breaker"
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
