package changes_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// polled runs a poller over a store in a bubble, as long as use lasts.
func polled(t *testing.T, o *outside, look func(context.Context, *call.Caller, events.Topic) (changes.Metadata, error), use func(*testing.T, *events.Log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Read: look, List: o.list}).Run(ctx)
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
	look := func(ctx context.Context, c *call.Caller, topic events.Topic) (changes.Metadata, error) {
		if c.Subject != "x" {
			return changes.Metadata{}, errors.New("denied")
		}
		return o.look(ctx, c, topic)
	}
	polled(t, o, look, func(t *testing.T, l *events.Log) {
		for i := range 60 {
			open(t, l, caller(fmt.Sprintf("stranger%d", i%3)), exactly("mine"), "")
		}
		time.Sleep(time.Minute)
		r := open(t, l, caller("x"), exactly("mine"), "")
		time.Sleep(200 * time.Millisecond)
		if o.looksAt("mine") == 0 {
			t.Error("the looks that were denied stand for the first one")
		}
		for range 3 {
			o.write("mine")
			if _, _, err := r.Next(t.Context(), 15*time.Second); err != nil {
				t.Errorf("a change was not told: %v", err)
			}
		}
	})
}

// TestTheFirstLookIsMadeAtSubscription: what is changed right after it is reported,
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
