package gate_test

import (
	"context"
	"errors"
	"fmt"
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

// TestSmallOnesOpenTheWay: a caller begins with few at once, each that was small lets one
// more in, and one that was large begins anew.
func TestSmallOnesOpenTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 100, Each: 8, Start: 2, Queue: 100, Wait: time.Hour}
		var inside atomic.Int64
		for range 40 {
			go func() {
				if g.Enter(t.Context(), "a") == nil {
					inside.Add(1)
				}
			}()
		}
		leave := func(how func(string), want int64) {
			t.Helper()
			how("a")
			inside.Add(-1)
			if synctest.Wait(); inside.Load() != want {
				t.Errorf("%d inside, want %d", inside.Load(), want)
			}
		}
		if synctest.Wait(); inside.Load() != 2 {
			t.Errorf("%d inside at first, want 2", inside.Load())
		}
		for _, want := range []int64{3, 4, 5, 6, 7, 8, 8, 8} {
			leave(g.Leave, want)
		}
		leave(g.LeaveLarge, 7) // those that are there may stay
		leave(g.LeaveLarge, 6)
		for _, want := range []int64{5, 4, 3, 2, 2, 2} {
			leave(g.LeaveLarge, want)
		}
		enter(t, g, "b", 1)
		for _, want := range []int64{1, 1} { // one at a time, while there is somebody else
			leave(g.LeaveLarge, want)
		}
		leave(g.Leave, 2)
		time.Sleep(2 * time.Second)
		for _, want := range []int64{2, 2} {
			leave(g.LeaveLarge, want)
		}
	})
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
