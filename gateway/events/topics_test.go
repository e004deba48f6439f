package events_test

import (
	"testing"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

func exactly(paths ...string) events.Filter {
	var f events.Filter
	for _, p := range paths {
		f.Topics = append(f.Topics, events.Topic{Mount: "secret", Path: path(p)})
	}
	return f
}

// TestTopicsAreBoundedPerCaller: over all its streams, and given back with them.
func TestTopicsAreBoundedPerCaller(t *testing.T) {
	var table budget.Table
	table[budget.Topics] = budget.Limit{Caller: 3, All: 4}
	b := budget.New(table)
	l := events.New(events.Config{Allow: yes, Reserve: func(c *call.Caller) (func(), error) {
		return b.Reserve(budget.Of(c), budget.Topics, 1)
	}})
	first, err := l.Subscribe(caller("x"), "s", exactly("a", "b"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Subscribe(caller("x"), "s", exactly("c", "d"), ""); !call.Is(err, call.RateLimited) {
		t.Errorf("a fourth topic of one caller: got %v, want rate_limited", err)
	}
	if got := b.Used(budget.Topics); got != 2 {
		t.Errorf("after a refusal %d topics are held, want 2", got)
	}
	second := open(t, l, caller("x"), exactly("c"), "")
	if first.Add(events.Topic{Mount: "secret", Path: path("d")}) {
		t.Error("a fourth topic was added to an open stream")
	}
	open(t, l, caller("y"), exactly("a"), "")
	first.Remove(events.Topic{Mount: "secret", Path: path("a")})
	if !second.Add(events.Topic{Mount: "secret", Path: path("d")}) {
		t.Error("what was removed makes no room")
	}
	first.Close()
	second.Close()
	if got := b.Used(budget.Topics); got != 1 {
		t.Errorf("%d topics are held at the end, want the one of the other caller", got)
	}
}
