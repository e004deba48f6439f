package transform

import (
	"runtime"
	"testing"
	"time"
)

// TestPanicEndsTheTurn: a call that panics, here of a step that is not there, does
// not keep the caller's others waiting.
func TestPanicEndsTheTurn(t *testing.T) {
	var c fuelPenalty
	c.leave("a", nil, time.Nanosecond, true)
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("no panic")
			}
		}()
		_, _, _ = Plan{call: Call{Subject: "a"}, steps: []*step{nil}, penalty: &c}.Apply(nil)
	}()
	if n := c.penalised["a"].users; n != 0 {
		t.Errorf("%d calls still have their turn", n)
	}
}

// TestWhoSpendsAllTakesTurns: after a call that ran out of fuel, the caller's others
// run one at a time, and nobody else's do.
func TestWhoSpendsAllTakesTurns(t *testing.T) {
	var c fuelPenalty
	if turn, err := c.enter("a"); turn != nil || err != nil {
		t.Fatalf("a caller who has done nothing waits: %v", err)
	}
	c.leave("a", nil, time.Nanosecond, true)
	first, err := c.enter("a")
	if first == nil || err != nil {
		t.Fatalf("no turn: %v", err)
	}
	second := make(chan *slot)
	go func() {
		turn, _ := c.enter("a")
		second <- turn
	}()
	for waiting := 0; waiting < 2; runtime.Gosched() {
		c.mu.Lock()
		waiting = c.penalised["a"].users
		c.mu.Unlock()
	}
	if turn, err := c.enter("b"); turn != nil || err != nil {
		t.Errorf("another caller waits: %v", err)
	}
	select {
	case <-second:
		t.Fatal("two at once")
	default:
	}
	c.leave("a", first, time.Nanosecond, false)
	c.leave("a", <-second, time.Nanosecond, false)
	c.penalised["a"].until = time.Time{}
	c.leave("b", nil, time.Nanosecond, true)
	if c.penalised["a"] != nil || c.penalised["b"] == nil {
		t.Errorf("kept %v", c.penalised)
	}
}
