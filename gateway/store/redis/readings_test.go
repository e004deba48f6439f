package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/store/redis"
)

// TestOneReplicaReadsForAll: what one has read the others get, one at a time reads anew, and
// what comes from one whose lease has ended is nobody's.
func TestOneReplicaReadsForAll(t *testing.T) {
	r := server(t)
	a, b := open(t, r.URL()).NewReadings("look"), open(t, r.URL()).NewReadings("look")
	c := client(t, r)
	says := func(text string) func() ([]byte, error) {
		return func() ([]byte, error) { return []byte(text), nil }
	}
	read := func(of *redis.Readings, name string, do func() ([]byte, error), want string, noted string, wantErr error) {
		t.Helper()
		got, err := of.Read(t.Context(), name, time.Hour, do)
		if string(got.Data) != want || string(got.Noted) != noted || !errors.Is(err, wantErr) || got.Age < 0 || got.Age > time.Minute {
			t.Errorf("%s: got %q, %q, %s old, %v", name, got.Data, got.Noted, got.Age, err)
		}
	}
	broken := errors.New("broken")
	read(a, "secret/x", func() ([]byte, error) { return nil, broken }, "", "", broken)
	read(a, "secret/x", says("one"), "one", "", nil)
	read(b, "secret/x", says("two"), "one", "", nil)
	if err := b.Note(t.Context(), "secret/x", []byte("was"), time.Hour); err != nil {
		t.Error(err)
	}
	read(a, "secret/x", says("two"), "one", "was", nil)
	slow := func() ([]byte, error) {
		read(b, "secret/y", says("two"), "", "", redis.ErrElsewhere)
		for _, key := range c.Keys(t.Context(), "*:lease").Val() {
			c.Del(t.Context(), key) // it has ended
		}
		read(b, "secret/y", says("newer"), "newer", "", nil)
		return []byte("older"), nil
	}
	read(a, "secret/y", slow, "older", "", nil)
	read(a, "secret/y", says("two"), "newer", "", nil)
	for _, key := range c.Keys(t.Context(), "*").Val() {
		if text := key + c.Get(t.Context(), key).Val(); strings.Contains(text, "secret/") || strings.Contains(text, "newer") {
			t.Errorf("readable in Redis: %q", text)
		}
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	read(a, "secret/y", says("its own"), "its own", "", nil)
	read(b, "secret/y", says("own, too"), "own, too", "", nil)
}
