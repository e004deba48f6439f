package events_test

import (
	"testing"

	"portcullis/gateway/events"
)

// TestOneCallerPushesOutItsOwnEvents: completed calls and changes alike.
func TestOneCallerPushesOutItsOwnEvents(t *testing.T) {
	for name, flood := range map[string]events.Event{
		"calls":   {Kind: events.ToolCompleted, Op: "kv.read", Subject: "y", Owner: caller("y").Key()},
		"changes": {Kind: events.ResourceChanged, Mount: "secret", Path: path("b/c"), Subject: "y"},
	} {
		l := events.New(events.Config{Allow: yes, Size: 256})
		before := l.Now(caller("x"), "s")
		mine, own := change("a/b"), events.Event{Kind: events.ToolCompleted, Op: "kv.read", Subject: "x", Owner: caller("x").Key()}
		mine.Subject = "x"
		l.Publish(mine)
		l.Publish(own)
		for range 10_000 {
			l.Publish(flood)
		}
		if got := len(l.Recent(t.Context(), caller("x"), below("a"), 1000)); got != 2 {
			t.Errorf("%s: another caller has %d of its 2 events", name, got)
		}
		if got := len(l.Recent(t.Context(), caller("y"), below("b"), 1000)); got != 64 {
			t.Errorf("%s: the one that does much has %d events, want its share of 64", name, got)
		}
		missed := open(t, l, caller("x"), below("a"), before).Missed()
		if want := name == "changes"; missed != want { // a change may have concerned anybody
			t.Errorf("%s: going on from before: missed %v, want %v", name, missed, want)
		}
		if !open(t, l, caller("y"), below("b"), l.Now(caller("x"), "s")).Missed() {
			t.Errorf("%s: an id of another caller is taken", name)
		}
	}
}

// TestTheLogIsBoundedForAllAsWell: many callers push out the oldest.
func TestTheLogIsBoundedForAllAsWell(t *testing.T) {
	l := events.New(events.Config{Allow: yes, Size: 256})
	for i := range 10_000 {
		e := change("a/b")
		e.Subject = string(rune('a' + i%20))
		l.Publish(e)
	}
	if got := len(l.Recent(t.Context(), caller("x"), below("a"), 10_000)); got != 256 {
		t.Errorf("%d events are kept, want 256", got)
	}
}
