package server

import (
	"testing"
	"time"
)

// TestMemoryIsGivenBackWhenItIsQuiet: what an attack has made the gateway hold goes when
// nothing is collected any more, and once.
func TestMemoryIsGivenBackWhenItIsQuiet(t *testing.T) {
	now := usage{live: 10 << 20, held: 30 << 20, collected: 5}
	freed, clock := 0, time.Unix(1_700_000_000, 0)
	th := &memorySaver{usage: func() usage { return now }}
	th.free = func() {
		freed++
		now.held, now.collected = 2*now.live, now.collected+1
	}
	pass := func(seconds int, change func()) {
		for range seconds {
			change()
			clock = clock.Add(time.Second)
			th.step(clock)
		}
	}
	still := func() {}
	pass(1, still)
	if freed != 1 {
		t.Errorf("%d times given back what the start has needed, want once", freed)
	}
	pass(60, still)
	if freed > 1 {
		t.Errorf("%d times given back of a heap that does not change", freed)
	}
	freed = 0
	pass(60, func() { now.collected++; now.live, now.held = 80<<20, 240<<20 })
	if freed != 0 {
		t.Errorf("%d times given back while much is done", freed)
	}
	now.live = 12 << 20
	pass(9, still)
	if freed != 0 {
		t.Error("given back at once")
	}
	pass(60, still)
	if freed != 1 || now.held != 24<<20 {
		t.Errorf("%d times given back, %d MiB held, want once", freed, now.held>>20)
	}
}

func TestALargeHeapIsCollectedMoreOften(t *testing.T) {
	var u usage
	var set []int
	th := &memorySaver{usage: func() usage { return u }, setPercent: func(p int) { set = append(set, p) }, free: func() {}}
	for _, live := range []uint64{10 << 20, 20 << 20, 70 << 20, 60 << 20, 200 << 20, 10 << 20} {
		u.live = live
		th.step(time.Now())
	}
	if len(set) != 4 || set[0] != 200 || set[1] != 100 || set[2] != 50 || set[3] != 200 {
		t.Errorf("got %v, want 200 100 50 200", set)
	}
}

func TestUsageIsKnown(t *testing.T) {
	if u := readUsage(); u.held == 0 {
		t.Errorf("got %+v", u)
	}
}
