package events_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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

// polled runs a poller over a store in a bubble, as long as use lasts.
func polled(t *testing.T, o *outside, look func(context.Context, *call.Caller, events.Topic) (events.Seen, error), use func(*testing.T, *events.Log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&events.Poller{Log: l, Look: look, List: o.list}).Run(ctx)
		}()
		synctest.Wait()
		use(t, l)
		stop()
		<-done
	})
}

// TestACallerWithManyTopicsDelaysItsOwn: 2,000 topics of one caller leave another
// caller's one topic its look in every interval.
func TestACallerWithManyTopicsDelaysItsOwn(t *testing.T) {
	o := &outside{versions: map[string]int{"mine": 1}, looks: map[string]int{}}
	polled(t, o, o.look, func(t *testing.T, l *events.Log) {
		for i := range 8 {
			var many []string
			for j := range 250 {
				many = append(many, fmt.Sprintf("theirs/%d/%d", i, j))
				o.write(many[j])
			}
			open(t, l, caller("greedy"), exactly(many...), "")
		}
		r := open(t, l, caller("x"), exactly("mine"), "")
		time.Sleep(30 * time.Second)
		for range 5 {
			o.write("mine")
			if _, _, err := r.Next(t.Context(), 15*time.Second); err != nil {
				t.Errorf("a change was not told within two intervals: %v", err)
			}
		}
		time.Sleep(3 * time.Minute)
		for _, p := range []string{"theirs/0/0", "theirs/7/249"} {
			if o.looksAt(p) == 0 {
				t.Errorf("%s was never looked at", p)
			}
		}
	})
}

// TestWhoMayNotSeeHidesNothing: looks in the name of a subscriber that is denied do
// not stand for those of one that is not.
func TestWhoMayNotSeeHidesNothing(t *testing.T) {
	o := &outside{versions: map[string]int{"mine": 1}, looks: map[string]int{}}
	look := func(ctx context.Context, c *call.Caller, topic events.Topic) (events.Seen, error) {
		if c.Subject != "x" {
			return events.Seen{}, errors.New("denied")
		}
		return o.look(ctx, c, topic)
	}
	polled(t, o, look, func(t *testing.T, l *events.Log) {
		for i := range 60 {
			open(t, l, caller(fmt.Sprintf("stranger%d", i%3)), exactly("mine"), "")
		}
		r := open(t, l, caller("x"), exactly("mine"), "")
		time.Sleep(10 * time.Second)
		for range 3 {
			o.write("mine")
			if _, _, err := r.Next(t.Context(), 15*time.Second); err != nil {
				t.Errorf("a change was not told: %v", err)
			}
		}
	})
}

// TestTheFirstLookIsMadeAtSubscription: what is changed right after it is told of,
// however long a round is, and whether others are subscribed already.
func TestTheFirstLookIsMadeAtSubscription(t *testing.T) {
	for _, others := range []int{0, 1, 250} {
		o := &outside{versions: map[string]int{"mine": 1}, looks: map[string]int{}}
		polled(t, o, o.look, func(t *testing.T, l *events.Log) {
			var many []string
			for i := range others {
				many = append(many, fmt.Sprintf("theirs/%d", i))
				o.write(many[i])
			}
			open(t, l, caller("y"), exactly(many...), "")
			time.Sleep(time.Minute)
			r := open(t, l, caller("x"), exactly("mine"), "")
			time.Sleep(200 * time.Millisecond)
			if o.looksAt("mine") == 0 {
				t.Errorf("beside %d others: no look was made at once", others)
			}
			o.write("mine")
			if _, _, err := r.Next(t.Context(), 15*time.Second); err != nil {
				t.Errorf("beside %d others: the change was not told: %v", others, err)
			}
		})
	}
}

// TestSubscribingDoesNotSpeedLooksUp: looks that are not waited for keep the pace.
func TestSubscribingDoesNotSpeedLooksUp(t *testing.T) {
	o := &outside{versions: map[string]int{}, looks: map[string]int{}}
	polled(t, o, o.look, func(t *testing.T, l *events.Log) {
		for i := range 1000 {
			open(t, l, caller(fmt.Sprint("c", i%10)), exactly(fmt.Sprintf("p/%d", i)), "")
			time.Sleep(time.Millisecond)
		}
		if n := o.count(); n > 40 {
			t.Errorf("%d looks in a second, want at most 25 and what the jitter allows", n)
		}
	})
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
