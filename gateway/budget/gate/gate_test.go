package gate_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget/gate"
)

func enter(t *testing.T, g *gate.Gate, key string, n int) {
	t.Helper()
	for range n {
		if err := g.Enter(t.Context(), key); err != nil {
			t.Fatalf("enter %s: %v", key, err)
		}
	}
}

// TestTurnsGoByCaller lets one caller queue many and another one; the other is
// served after one of the first, not after all.
func TestTurnsGoByCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 1, Each: 1, Queue: 100, Wait: time.Hour}
		enter(t, g, "holder", 1)
		var mu sync.Mutex
		var order []string
		wait := func(key string) {
			go func() {
				if g.Enter(t.Context(), key) != nil {
					return
				}
				mu.Lock()
				order = append(order, key)
				mu.Unlock()
				g.Leave(key)
			}()
			synctest.Wait()
		}
		for range 5 {
			wait("many")
		}
		wait("few")
		g.Leave("holder")
		synctest.Wait()
		if got := fmt.Sprint(order); got != "[many few many many many many]" {
			t.Errorf("served %s", got)
		}
	})
}

func TestEachLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 4, Each: 2, Queue: 100, Wait: time.Second}
		enter(t, g, "many", 2)
		refused := make(chan error)
		go func() { refused <- g.Enter(t.Context(), "many") }()
		synctest.Wait()
		enter(t, g, "few", 2)
		if err := <-refused; !errors.Is(err, gate.ErrBusy) {
			t.Errorf("the third of many: got %v, want busy", err)
		}
		if in, waiting := g.Load(); in != 4 || waiting != 0 {
			t.Errorf("inside %d, waiting %d", in, waiting)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 1, Each: 1, Queue: 1, Wait: time.Hour}
		enter(t, g, "a", 1)
		ctx, stop := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- g.Enter(ctx, "a") }()
		synctest.Wait()
		if err := g.Enter(t.Context(), "a"); !errors.Is(err, gate.ErrBusy) {
			t.Errorf("beyond the queue: got %v, want busy", err)
		}
		stop()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: got %v", err)
		}
		g.Leave("a")
		enter(t, g, "a", 1)
	})
}

// TestALargeOneNarrowsTheWay: its caller has few at once from then on, one while there is
// somebody else, and each that is small lets one more in.
func TestALargeOneNarrowsTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 8, Large: 2, Queue: 100, Wait: time.Hour}
		var inside atomic.Int64
		for range 60 {
			go func() {
				if g.Enter(t.Context(), "a") == nil {
					inside.Add(1)
				}
			}()
		}
		leave := func(how func(string), all ...int64) {
			t.Helper()
			for _, want := range all {
				how("a")
				inside.Add(-1)
				if synctest.Wait(); inside.Load() != want {
					t.Errorf("%d inside, want %d", inside.Load(), want)
				}
			}
		}
		if synctest.Wait(); inside.Load() != 8 {
			t.Errorf("%d inside at first, want 8", inside.Load())
		}
		leave(g.Leave, 8, 8)
		large := func(key string) { g.LeaveLarge(key, 0) }
		leave(large, 7, 6, 5, 4, 3, 2, 2, 2) // those that are there may stay
		leave(g.Leave, 3, 4)
		enter(t, g, "b", 1)
		leave(large, 3, 2, 1, 1, 1)
		leave(g.Leave, 2, 3, 4, 5, 6, 7, 8, 8)
		leave(large, 7)
		time.Sleep(20 * time.Minute) // and it is forgotten
		leave(g.Leave, 8)
	})
}

// visit is one of somebody else.
func visit(t *testing.T, g *gate.Gate) {
	t.Helper()
	enter(t, g, "b", 1)
	g.Leave("b")
}

// TestNobodyGrowsByBeingAlone: what a caller may have when others come is what it has had.
func TestNobodyGrowsByBeingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 50, Large: 2, Queue: 100, Wait: time.Hour}
		for range 20 {
			enter(t, g, "a", 3)
			for range 3 {
				g.Leave("a")
			}
		}
		visit(t, g)
		var inside atomic.Int64
		for range 50 {
			go func() {
				if g.Enter(t.Context(), "a") == nil {
					inside.Add(1)
				}
			}()
		}
		if synctest.Wait(); inside.Load() != 4 {
			t.Errorf("%d inside beside another, want one more than the 3 that there were", inside.Load())
		}
		for inside.Load() > 0 {
			g.Leave("a")
			inside.Add(-1)
			synctest.Wait()
		}
	})
}

// TestABeginningIsNarrow beside others, and grows with what is small; whoever had
// something large does not grow as wide again.
func TestABeginningIsNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 50, Large: 2, Queue: 100, Wait: time.Hour}
		var inside atomic.Int64
		come := func(n int) {
			for range n {
				go func() {
					if g.Enter(t.Context(), "a") == nil {
						inside.Add(1)
					}
				}()
			}
			synctest.Wait()
		}
		// all lets everybody leave who is there now.
		all := func(how func(string), want int64) {
			t.Helper()
			for range inside.Load() {
				how("a")
				inside.Add(-1)
			}
			if synctest.Wait(); inside.Load() != want {
				t.Errorf("%d inside, want %d", inside.Load(), want)
			}
		}
		visit(t, g)
		if come(100); inside.Load() != 2 {
			t.Fatalf("%d inside at first, want 2", inside.Load())
		}
		for _, want := range []int64{4, 8, 16, 32, 38, 0} {
			all(g.Leave, want) // 2+4+8+16+32+38 are the 100
		}
		visit(t, g)
		if come(80); inside.Load() != 50 {
			t.Fatalf("%d inside behind 100 small ones, want 50", inside.Load())
		}
		all(func(key string) { g.LeaveLarge(key, 0) }, 1)
		for _, want := range []int64{2, 4, 8, 8, 7, 0} {
			visit(t, g)
			all(g.Leave, want)
		}
		time.Sleep(time.Minute)
		enter(t, g, "b", 1)
		if come(10); inside.Load() != 2 {
			t.Errorf("%d inside after a minute without any, want 2", inside.Load())
		}
	})
}

// TestALargeOneIsFollowedByARest while there is somebody else, and by none when there is not.
func TestALargeOneIsFollowedByARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 8, Large: 1, Rest: 7, Queue: 100, Wait: time.Hour}
		next := func() time.Duration {
			t.Helper()
			g.LeaveLarge("a", 10*time.Millisecond)
			start := time.Now()
			enter(t, g, "a", 1)
			return time.Since(start)
		}
		enter(t, g, "a", 1)
		if d := next(); d != 0 {
			t.Errorf("alone, the next one came in behind %v", d)
		}
		visit(t, g)
		if d := next(); d != 70*time.Millisecond {
			t.Errorf("beside another, the next one came in behind %v, want 70ms", d)
		}
		visit(t, g)
		g.LeaveLarge("a", time.Hour)
		start := time.Now()
		enter(t, g, "a", 1)
		if d := time.Since(start); d != 500*time.Millisecond {
			t.Errorf("one that took an hour is followed by %v, want 500ms", d)
		}
	})
}

// TestWhatIsGivenUpIsAsDearAsTheLastOne of a caller that has had something large, and says
// nothing of any other.
func TestWhatIsGivenUpIsAsDearAsTheLastOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 50, Large: 2, Rest: 2, Queue: 100, Wait: time.Hour}
		next := func(want time.Duration) {
			t.Helper()
			visit(t, g)
			enter(t, g, "a", 1)
			g.GiveUp("a", time.Millisecond)
			start := time.Now()
			enter(t, g, "a", 2)
			if d := time.Since(start); d != want {
				t.Errorf("two more came in behind %v, want %v", d, want)
			}
			g.GiveUp("a", 0)
			g.GiveUp("a", 0)
			time.Sleep(time.Second)
		}
		next(0)
		next(0)
		enter(t, g, "a", 1)
		g.LeaveLarge("a", 20*time.Millisecond)
		time.Sleep(time.Second)
		visit(t, g)
		enter(t, g, "a", 1)
		g.GiveUp("a", time.Millisecond)
		start := time.Now()
		enter(t, g, "a", 1)
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Errorf("the next one came in behind %v, want 40ms", d)
		}
	})
}

// TestARestHoldsNobodyElseUp: the place itself is free at once, and those that are seen
// at another gate count as well.
func TestARestHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := new(gate.Presence)
		elsewhere := &gate.Gate{Total: 9, Each: 9, Presence: there}
		g := &gate.Gate{Total: 1, Each: 1, Rest: 3, Queue: 10, Wait: time.Hour, Presence: there}
		enter(t, g, "a", 1)
		enter(t, elsewhere, "b", 1)
		g.LeaveLarge("a", 20*time.Millisecond)
		start := time.Now()
		enter(t, g, "c", 1)
		if d := time.Since(start); d != 0 {
			t.Errorf("another came in behind %v", d)
		}
		g.LeaveLarge("c", 0)
		enter(t, g, "a", 1)
		if d := time.Since(start); d != 60*time.Millisecond {
			t.Errorf("the next one of the same came in behind %v, want 60ms", d)
		}
		g.LeaveLarge("a", 0)
		if in, waiting := g.Load(); in != 0 || waiting != 0 {
			t.Errorf("inside %d, waiting %d, want nobody", in, waiting)
		}
	})
}

// TestWhatIsRememberedOfLargeOnesIsBounded, also of callers that never come again.
func TestWhatIsRememberedOfLargeOnesIsBounded(t *testing.T) {
	g := &gate.Gate{Total: 10, Each: 5, Large: 2, Queue: 10, Wait: time.Hour}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 200_000 {
		key := fmt.Sprint("caller-", i)
		enter(t, g, key, 1)
		g.LeaveLarge(key, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if more := int64(after.HeapAlloc) - int64(before.HeapAlloc); more > 2<<20 {
		t.Errorf("%d KiB are kept", more>>10)
	}
	runtime.KeepAlive(g)
}

// TestNoPlaceIsLost lets many come, give up and leave, and counts the places.
func TestNoPlaceIsLost(t *testing.T) {
	g := &gate.Gate{Total: 3, Each: 2, Queue: 50, Wait: time.Millisecond}
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Go(func() {
			key := fmt.Sprint(i % 5)
			if g.Enter(t.Context(), key) == nil {
				g.Leave(key)
			}
		})
	}
	wg.Wait()
	if in, waiting := g.Load(); in != 0 || waiting != 0 {
		t.Errorf("inside %d, waiting %d, want nobody", in, waiting)
	}
	enter(t, g, "a", 2)
	enter(t, g, "b", 1)
}

func ExampleGate() {
	g := &gate.Gate{Total: 2, Each: 1, Queue: 0, Wait: time.Second}
	fmt.Println(g.Enter(context.Background(), "a"))
	fmt.Println(g.Enter(context.Background(), "a"))
	fmt.Println(g.Enter(context.Background(), "b"))
	// Output:
	// <nil>
	// too much is going on at once
	// <nil>
}
