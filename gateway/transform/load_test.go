package transform_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
)

// TestReloadUnderLoad swaps generations below callers. Every call must succeed
// and see modules of one generation only.
func TestReloadUnderLoad(t *testing.T) {
	const swaps, callers = 200, 4
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	put := func(generation int) {
		e := fmt.Sprintf("%s, hooks: [response], apply: mandatory, name: ", echo)
		d.write(fmt.Sprintf("%sa-%d", e, generation%2), fmt.Sprintf("%sb-%d", e, generation%2))
	}
	put(0)
	s := d.open(transform.Options{CacheDir: t.TempDir() + "/cache"})
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for !stop.Load() {
				if err := pinnedCall(s); err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	var before uint64
	for i := 1; i <= swaps; i++ {
		put(i)
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == swaps/2 {
			before = resident()
		}
	}
	after := resident()
	stop.Store(true)
	wg.Wait()
	if after > before+64<<20 {
		t.Errorf("resident memory grew from %d to %d bytes", before, after)
	}
	if st := s.Status(); st.Generation != swaps+1 || calls.Load() == 0 {
		t.Errorf("%d generations, %d calls", st.Generation, calls.Load())
	}
}

func pinnedCall(s *transform.Set) error {
	g := s.Pin()
	defer g.Release()
	p, err := g.Plan(response(), nil)
	if err != nil {
		return err
	}
	out, steps, err := p.Apply([]byte(`{"a":1}`))
	if err != nil || string(out) != `{"a":1}` {
		return fmt.Errorf("got %s: %w", out, err)
	}
	if len(steps) != 2 || !strings.HasPrefix(steps[0].Name, "a-") || steps[0].Name[2:] != steps[1].Name[2:] {
		return fmt.Errorf("steps of two generations: %+v", steps)
	}
	return nil
}

// resident is the memory of the process, or of the heap where the system does not
// tell.
func resident() uint64 {
	runtime.GC()
	var pages, rss uint64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(text), &pages, &rss); err == nil {
			return rss * uint64(os.Getpagesize())
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
