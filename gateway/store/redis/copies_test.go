package redis_test

import (
	"testing"
	"time"
)

// TestCopies: any replica reads what one has written, until it ends or is gone.
func TestCopies(t *testing.T) {
	r := server(t)
	here, there := open(t, r.URL()).NewCopies("k", time.Hour), open(t, r.URL()).NewCopies("k", time.Hour)
	for _, c := range []struct {
		write map[string][]byte
		gone  []string
		want  map[string]string
	}{
		{map[string][]byte{"a": []byte("1"), "b": []byte("2")}, nil, map[string]string{"a": "1", "b": "2", "c": ""}},
		{map[string][]byte{"c": []byte("3")}, []string{"a", "none"}, map[string]string{"a": "", "b": "2", "c": "3"}},
		{nil, []string{"b"}, map[string]string{"b": "", "c": "3"}},
	} {
		if err := here.Write(t.Context(), c.write, c.gone); err != nil {
			t.Fatal(err)
		}
		for name, want := range c.want {
			if got, err := there.Read(t.Context(), name); string(got) != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
			}
		}
	}
	for _, key := range client(t, r).Keys(t.Context(), "*").Val() {
		if left := client(t, r).TTL(t.Context(), key).Val(); left <= 0 || left > time.Hour {
			t.Errorf("%s ends after %v", key, left)
		}
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Read(t.Context(), "c"); err == nil {
		t.Error("a Redis that is away answers")
	}
}
