package changes_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// table is what replicas share, by the clock of the test.
type table struct {
	mu    sync.Mutex
	read  map[string]reading
	noted map[string][]byte
}

type reading struct {
	data []byte
	at   time.Time
}

func (s *table) shared() *changes.Shared {
	return &changes.Shared{
		Read: func(_ context.Context, name string, fresh time.Duration, read func() ([]byte, error)) ([]byte, time.Duration, []byte, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if had, ok := s.read[name]; ok && time.Since(had.at) < fresh {
				return had.data, time.Since(had.at), s.noted[name], nil
			}
			data, err := read()
			if err == nil {
				s.read[name] = reading{data, time.Now()}
			}
			return data, 0, s.noted[name], err
		},
		Note: func(_ context.Context, name string, data []byte, _ time.Duration) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.noted[name] = data
		},
	}
}

// TestOneReplicaLooksForAll: three replicas look at Vault about as often as one, and each finds
// what has changed, also one that takes over from another and knows nothing.
func TestOneReplicaLooksForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &outside{versions: map[string]int{"a/1": 1}, looks: map[string]int{}}
		s := &table{read: map[string]reading{}, noted: map[string][]byte{}}
		replica := func(f events.Filter) (r *events.Reader, end func()) {
			l := events.New(events.Config{Allow: yes})
			p := &changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: 5 * time.Second, PerSecond: 1000, Read: o.look, List: o.list, Shared: s.shared()}
			r = open(t, l, caller("x"), f, "")
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); p.Run(ctx) }()
			return r, func() { stop(); <-done }
		}
		var readers []*events.Reader
		var ends []func()
		for range 3 {
			r, end := replica(below("a"))
			readers, ends = append(readers, r), append(ends, end)
		}
		time.Sleep(time.Minute)
		if n := o.looksAt("a/1"); n < 6 || n > 16 {
			t.Errorf("%d looks in a minute", n)
		}
		o.write("a/1")
		o.write("a/new")
		time.Sleep(15 * time.Second)
		for i, r := range readers {
			got := map[string]int{}
			for range 2 {
				path, _ := next(t, r)
				got[path]++
			}
			if path, _ := next(t, r); got["a/1"] != 1 || got["a/new"] != 1 || path != "idle" && path != events.ErrIdle.Error() {
				t.Errorf("replica %d: %v, then %s", i, got, path)
			}
		}
		for _, end := range ends {
			end() // nobody looks any more
		}
		o.write("a/1")
		r, end := replica(below("a"))
		defer end()
		time.Sleep(15 * time.Second)
		if path, _ := next(t, r); path != "a/1" {
			t.Errorf("after the others have ended: %s", path)
		}
	})
}
