package gate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget/gate"
)

// TestWhoWaitsForOthersLetsOthersWork: a turn that is given back while its request waits
// is somebody else's, and comes back.
func TestWhoWaitsForOthersLetsOthersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 1, Each: 1, Queue: 10, Wait: time.Hour}
		turn, other := &gate.Turn{Gate: g, Key: "a"}, &gate.Turn{Gate: g, Key: "b"}
		ctx := gate.With(t.Context(), turn)
		for range 2 { // it has it once, however often it asks
			if err := gate.Of(ctx).Enter(ctx); err != nil {
				t.Fatal(err)
			}
		}
		back := gate.Away(ctx)
		if err := other.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		if gate.Away(ctx); turn.Leave() {
			t.Error("a turn that was given back is there")
		}
		returned := make(chan struct{})
		go func() { back(); close(returned) }()
		synctest.Wait()
		select {
		case <-returned:
			t.Fatal("came back while the other one worked")
		default:
		}
		other.End()
		<-returned
		if in, _ := g.Load(); in != 1 {
			t.Errorf("%d inside, want 1", in)
		}
		turn.End()
		if err := turn.Enter(ctx); err != nil {
			t.Error(err)
		}
		if in, waiting := g.Load(); in != 0 || waiting != 0 {
			t.Errorf("%d inside, %d waiting after the end, want nobody", in, waiting)
		}
	})
}

// TestToComeBackIsNotRefused: who has waited for an effect goes on, if need be without a turn.
func TestToComeBackIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate.Gate{Total: 1, Each: 1, Queue: 10, Wait: time.Second}
		turn, other := &gate.Turn{Gate: g, Key: "a"}, &gate.Turn{Gate: g, Key: "b"}
		ctx := gate.With(t.Context(), turn)
		if err := turn.Enter(ctx); err != nil {
			t.Fatal(err)
		}
		back := gate.Away(ctx)
		if err := other.Enter(ctx); err != nil {
			t.Fatal(err)
		}
		back()
		turn.End()
		other.End()
		if in, _ := g.Load(); in != 0 {
			t.Errorf("%d inside, want nobody", in)
		}
	})
}

func TestNoTurnLetsThrough(t *testing.T) {
	var none *gate.Turn
	if err := none.Enter(t.Context()); err != nil || none.Leave() {
		t.Errorf("got %v", err)
	}
	none.End()
	gate.Away(t.Context())()
	if err := new(gate.Turn).Enter(t.Context()); err != nil {
		t.Error(err)
	}
}
