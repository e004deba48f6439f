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

// TestGarbageHasARoomOfItsOwn: what others make the gateway hold is not multiplied by what
// the collector leaves for later; what it needs itself for long is not collected more than
// twice as often as Go's default has it.
func TestGarbageHasARoomOfItsOwn(t *testing.T) {
	var u usage
	th := &memorySaver{usage: func() usage { return u }, setPercent: func(int) {}, free: func() {}}
	clock := time.Unix(1_700_000_000, 0)
	step := func(live, stacks uint64, after time.Duration) int {
		u.live, u.stacks, clock = live, stacks, clock.Add(after)
		th.step(clock)
		return th.percent
	}
	if got := step(6<<20, 1<<20, 0); got != gcPercent {
		t.Errorf("a small heap: %d %%, want %d", got, gcPercent)
	}
	for live := uint64(8 << 20); live <= 1<<30; live += 1 << 20 {
		for _, stacks := range []uint64{1 << 20, live / 2, live} {
			got, inUse := step(live, stacks, time.Millisecond), live+stacks
			if grow := inUse * uint64(got) / 100; grow > max(garbage, inUse/2) {
				t.Fatalf("%d MiB in use may grow by %d MiB at %d %%", inUse>>20, grow>>20, got)
			}
		}
	}
	if got := step(80<<20, 0, 0); got != leastPercent {
		t.Errorf("80 MiB for a moment: %d %%, want %d", got, leastPercent)
	}
	step(80<<20, 0, forLong)
	if got := step(80<<20, 0, forLong); got != 50 {
		t.Errorf("80 MiB for long: %d %%, want 50", got)
	}
	if got := step(7<<20, 0, 0); got != gcPercent {
		t.Errorf("a small heap again: %d %%, want %d", got, gcPercent)
	}
}

func TestUsageIsKnown(t *testing.T) {
	if u := readUsage(); u.held == 0 {
		t.Errorf("got %+v", u)
	}
}
