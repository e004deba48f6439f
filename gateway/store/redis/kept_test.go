package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/store/redis"
)

// TestKept: what is kept of an owner is found by all, is changed by one at a time, and has
// bounds that are the owner's own.
func TestKept(t *testing.T) {
	r := server(t)
	bound := redis.Bound{Most: 3, Bytes: 100, Idle: time.Hour}
	a, b := open(t, r.URL()).NewKept("k", "a", bound), open(t, r.URL()).NewKept("k", "b", bound)
	ctx := t.Context()
	swap := func(owner, name, was, data string, want bool) {
		t.Helper()
		if done, err := a.Swap(ctx, owner, name, []byte(was), []byte(data)); done != want || err != nil {
			t.Errorf("%s/%s from %q to %q: %v, %v", owner, name, was, data, done, err)
		}
	}
	has := func(owner, name, want string) {
		t.Helper()
		if got, err := b.Use(ctx, owner, name); string(got) != want || err != nil {
			t.Errorf("%s/%s: got %q, %v, want %q", owner, name, got, err, want)
		}
	}
	has("o", "1", "")
	swap("o", "1", "", "one", true)
	swap("o", "1", "", "other", false)
	swap("o", "1", "one", "uno", true)
	has("o", "1", "uno")
	has("p", "1", "")
	for i := range 3 {
		swap("o", fmt.Sprint(2+i), "", "x", true)
	}
	has("o", "1", "") // the one that was used longest ago
	swap("p", "1", "", strings.Repeat("x", 60), true)
	swap("p", "2", "", strings.Repeat("y", 60), true)
	has("p", "1", "")
	swap("p", "3", "", strings.Repeat("z", 101), false)
	has("o", "4", "x")
	if err := b.Drop(ctx, "o", "4"); err != nil {
		t.Error(err)
	}
	has("o", "4", "")
	short := open(t, r.URL()).NewKept("k", "b", redis.Bound{Most: 3, Bytes: 100, Idle: time.Millisecond})
	if _, err := short.Swap(ctx, "q", "1", nil, []byte("x")); err != nil {
		t.Error(err)
	}
	e2e.Eventually(t, "idle ones end", func() bool { got, err := short.Use(ctx, "q", "1"); return got == nil && err == nil })
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Use(ctx, "p", "2"); !errors.Is(err, redis.ErrAway) {
		t.Errorf("without Redis: %v, want away", err)
	}
}

// TestOneOfManySwaps: of replicas that change an entry at the same time one does.
func TestOneOfManySwaps(t *testing.T) {
	r := server(t)
	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		k := open(t, r.URL()).NewKept("k", "b", redis.Bound{Most: 3, Bytes: 100, Idle: time.Hour})
		wg.Go(func() {
			if ok, err := k.Swap(t.Context(), "o", "1", nil, fmt.Append(nil, i)); err != nil {
				t.Error(err)
			} else if ok {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d have done it", done.Load())
	}
}

// TestReplicasAreToldOfChanges of entries that others make, and when they may have missed some.
func TestReplicasAreToldOfChanges(t *testing.T) {
	r := server(t)
	bound := redis.Bound{Most: 3, Bytes: 100, Idle: time.Hour}
	a, b := open(t, r.URL()).NewKept("k", "a", bound), open(t, r.URL()).NewKept("k", "b", bound)
	told, missed := make(chan string, 10), make(chan struct{}, 10)
	run(t, func(ctx context.Context) {
		b.Run(ctx, func(name string) { told <- name }, func() { missed <- struct{}{} })
	})
	<-missed
	for _, change := range []func() error{
		func() error { _, err := b.Swap(t.Context(), "o", "own", nil, []byte("x")); return err },
		func() error { _, err := a.Swap(t.Context(), "o", "new", nil, []byte("x")); return err },
		func() error { return a.Drop(t.Context(), "o", "dropped") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	if first, second := <-told, <-told; first != "new" || second != "dropped" {
		t.Errorf("told of %q and %q", first, second)
	}
	client(t, r).ClientKillByFilter(t.Context(), "TYPE", "pubsub")
	<-missed
}

// TestWords: every replica hears what one says, also after Redis was away.
func TestWords(t *testing.T) {
	r := server(t)
	var said [2]atomic.Int64
	a, b := open(t, r.URL()).NewChannel("w"), open(t, r.URL()).NewChannel("w")
	for i, w := range []*redis.Channel{a, b} {
		run(t, func(ctx context.Context) {
			w.Run(ctx, nil, func(m []byte) {
				if string(m) == "hello" {
					said[i].Add(1)
				}
			})
		})
	}
	both := func() bool {
		_ = a.Publish(t.Context(), []byte("hello"))
		return said[0].Load() > 0 && said[1].Load() > 0
	}
	e2e.Eventually(t, "received by both", both)
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	said[0].Store(0)
	said[1].Store(0)
	e2e.Eventually(t, "received by both again", both)
}
