package redis_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/store/redis"
)

// TestEverybodysEntriesAreBounded: of all owners at all replicas together, and what has gone in
// whatever way makes room.
func TestEverybodysEntriesAreBounded(t *testing.T) {
	r := server(t)
	bound := redis.Bound{Most: 3, Bytes: 100, Idle: time.Hour, All: 5}
	a, b := open(t, r.URL()).NewKept("k", "a", bound), open(t, r.URL()).NewKept("k", "b", bound)
	ctx := t.Context()
	put := func(k *redis.Kept, owner, name, was, data string, want error) {
		t.Helper()
		if done, err := k.Swap(ctx, owner, name, []byte(was), []byte(data)); !errors.Is(err, want) || done != (want == nil) {
			t.Errorf("%s of %s: %v, %v, want %v", name, owner, done, err, want)
		}
	}
	for i := range 5 {
		put(a, fmt.Sprint("o", i), fmt.Sprint("n", i), "", "x", nil)
	}
	put(b, "o9", "n9", "", "x", redis.ErrFull)
	put(b, "o1", "n1", "x", "y", nil) // one that is there may be changed
	if err := b.Drop(ctx, "o0", "n0"); err != nil {
		t.Error(err)
	}
	put(b, "o9", "n9", "", "x", nil)
	put(b, "o9", "n10", "", "x", redis.ErrFull)
	if done, err := b.Swap(ctx, "o1", "n1", []byte("y"), make([]byte, 101)); done || err != nil {
		t.Errorf("too long: %v, %v", done, err)
	}
	put(a, "o9", "n10", "", "x", nil) // what was too long has gone
	for i := range 3 {                // an owner's own make room for its next
		if err := a.Drop(ctx, fmt.Sprint("o", i+2), fmt.Sprint("n", i+2)); err != nil {
			t.Error(err)
		}
		put(a, "o9", fmt.Sprint("m", i), "", "x", nil)
	}
	put(a, "o8", "n8", "", "x", nil)
	put(a, "o7", "n7", "", "x", nil)
	put(a, "o6", "n6", "", "x", redis.ErrFull)
	short := bound
	short.Idle, short.All = 100*time.Millisecond, 2
	idle := open(t, r.URL()).NewKept("idle", "c", short)
	put(idle, "o", "1", "", "x", nil)
	put(idle, "p", "2", "", "x", nil)
	used := func() bool { data, err := idle.Use(ctx, "o", "1"); return data != nil && err == nil }
	e2e.Eventually(t, "what nobody uses makes room", func() bool {
		if !used() {
			t.Fatal("what is used has ended")
		}
		done, err := idle.Swap(ctx, "q", "3", nil, []byte("x"))
		return done && err == nil
	})
	put(idle, "r", "4", "", "x", redis.ErrFull) // what is used counts on
}

// TestEverybodysTokensAreBounded likewise.
func TestEverybodysTokensAreBounded(t *testing.T) {
	s := open(t, server(t).URL()).NewTokens("k", 2, 3)
	ctx := t.Context()
	put := func(owner, name string, want error) {
		t.Helper()
		if done, err := s.Put(ctx, owner, name, []byte("x"), time.Hour); !errors.Is(err, want) || done != (want == nil) {
			t.Errorf("%s of %s: %v, %v, want %v", name, owner, done, err, want)
		}
	}
	put("a", "1", nil)
	put("a", "2", nil)
	put("b", "3", nil)
	put("c", "4", redis.ErrFull)
	if done, err := s.Replace(ctx, "b", "3", []byte("y"), time.Hour); !done || err != nil {
		t.Errorf("one that is there: %v, %v", done, err)
	}
	if err := s.Drop(ctx, "b", "3"); err != nil {
		t.Error(err)
	}
	put("a", "5", nil) // whose own first one makes room
	put("c", "4", nil)
	put("d", "6", redis.ErrFull)
	if done, err := s.Replace(ctx, "b", "3", []byte("y"), time.Hour); done {
		t.Errorf("one that has gone: %v, %v", done, err)
	}
}
