package events_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

func path(s string) call.Path {
	p, err := call.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func caller(subject string) *call.Caller {
	return &call.Caller{Subject: subject, Prefix: path("mcp/" + subject)}
}

func yes(context.Context, *call.Caller, events.Event) bool { return true }

func below(p string) events.Filter {
	return events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path(p), Below: true}}}
}

func change(p string) events.Event {
	return events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: path(p), Source: events.FromGateway}
}

func open(t testing.TB, l *events.Log, c *call.Caller, f events.Filter, after string) *events.Reader {
	t.Helper()
	r, err := l.Subscribe(c, "s", f, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// next returns the path of the next event, or the error's text.
func next(t testing.TB, r *events.Reader) (string, string) {
	t.Helper()
	e, id, err := r.Next(t.Context(), 10*time.Millisecond)
	if err != nil {
		return err.Error(), ""
	}
	return e.Path.String(), id
}

func TestFilters(t *testing.T) {
	for _, tc := range []struct {
		name  string
		topic events.Topic
		want  bool
	}{
		{"the resource itself", events.Topic{Mount: "secret", Path: path("a/b")}, true},
		{"another resource", events.Topic{Mount: "secret", Path: path("a/c")}, false},
		{"the same path on another mount", events.Topic{Mount: "other", Path: path("a/b")}, false},
		{"above, by name", events.Topic{Mount: "secret", Path: path("a")}, false},
		{"above, with all below", events.Topic{Mount: "secret", Path: path("a"), Below: true}, true},
		{"itself, with all below", events.Topic{Mount: "secret", Path: path("a/b"), Below: true}, true},
		{"the whole mount", events.Topic{Mount: "secret", Below: true}, true},
		{"a name that begins alike", events.Topic{Mount: "secret", Path: path("a/bb"), Below: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := events.New(events.Config{Allow: yes})
			r := open(t, l, caller("x"), events.Filter{Topics: []events.Topic{tc.topic}}, "")
			l.Publish(change("a/b"))
			if got, _ := next(t, r); (got == "a/b") != tc.want {
				t.Errorf("got %q, want it delivered: %v", got, tc.want)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	l := events.New(events.Config{Allow: yes, Size: 4})
	c := caller("x")
	r := open(t, l, c, below("a"), "")
	l.Publish(change("a/1"))
	l.Publish(change("a/2"))
	_, first := next(t, r)
	again := open(t, l, c, below("a"), first)
	if got, _ := next(t, again); got != "a/2" || again.Missed() {
		t.Errorf("after the first event came %q, missed %v", got, again.Missed())
	}
	for _, tc := range []struct {
		name  string
		c     *call.Caller
		scope string
		after string
	}{
		{"another caller", caller("y"), "s", first},
		{"another stream", c, "other", first},
		{"nonsense", c, "s", "nonsense"},
		{"a changed id", c, "s", "A" + first[1:] + "A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := l.Subscribe(tc.c, tc.scope, below("a"), tc.after)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, _ := next(t, r); got != events.ErrIdle.Error() || !r.Missed() {
				t.Errorf("got %q, missed %v", got, r.Missed())
			}
		})
	}
	for i := range 5 {
		l.Publish(change(fmt.Sprint("b/", i)))
	}
	if old := open(t, l, c, below("a"), first); !old.Missed() {
		t.Error("an id that has fallen out of the log must say so")
	}
}

// TestASharedLogBeginsAnew: what it holds is there for replays and is news to nobody; readers
// of before end, and their ids are none any more.
func TestASharedLogBeginsAnew(t *testing.T) {
	l := events.New(events.Config{Allow: yes, Send: func(events.Event) <-chan struct{} { return nil }})
	c := caller("x")
	before := open(t, l, c, below("a"), "")
	old := before.Position()
	l.Restart([32]byte{1}, 4, []events.Numbered{{Seq: 5, Event: change("a/5")}, {Seq: 6, Event: change("a/6")}})
	if got, _ := next(t, before); got != events.ErrSlow.Error() {
		t.Errorf("a reader of before got %q", got)
	}
	if again := open(t, l, c, below("a"), old); !again.Missed() {
		t.Error("an id of before is taken")
	}
	now := open(t, l, c, below("a"), "")
	if got, _ := next(t, now); got != events.ErrIdle.Error() {
		t.Errorf("what the log holds is told of as news: %q", got)
	}
	l.Arrive(7, change("a/7"), true)
	l.Arrive(7, change("a/7"), true)
	got, id := next(t, now)
	if second, _ := next(t, now); got != "a/7" || second != events.ErrIdle.Error() {
		t.Errorf("got %q and %q, want a/7 once", got, second)
	}
	if len(l.Recent(t.Context(), c, below("a"), 10)) != 3 {
		t.Error("what the log holds is not there")
	}
	other := events.New(events.Config{Allow: yes, Send: func(events.Event) <-chan struct{} { return nil }})
	other.Restart([32]byte{1}, 4, []events.Numbered{{Seq: 5, Event: change("a/5")}})
	ahead := open(t, other, c, below("a"), id) // of a replica that is ahead
	other.Arrive(6, change("a/6"), true)
	other.Arrive(7, change("a/7"), true)
	other.Arrive(8, change("a/8"), true)
	if got, _ := next(t, ahead); got != "a/8" || ahead.Missed() {
		t.Errorf("after a/7 at another replica came %q, missed %v", got, ahead.Missed())
	}
}

// TestDecidedAtDelivery holds that a right that is gone stops the next event,
// live or replayed.
func TestDecidedAtDelivery(t *testing.T) {
	var allowed atomic.Bool
	allowed.Store(true)
	l := events.New(events.Config{Allow: func(context.Context, *call.Caller, events.Event) bool { return allowed.Load() }})
	r := open(t, l, caller("x"), below("a"), "")
	l.Publish(change("a/1"))
	_, id := next(t, r)
	l.Publish(change("a/2"))
	allowed.Store(false)
	if got, _ := next(t, r); got != events.ErrIdle.Error() {
		t.Errorf("live: got %q", got)
	}
	if got, _ := next(t, open(t, l, caller("x"), below("a"), id)); got != events.ErrIdle.Error() {
		t.Errorf("replayed: got %q", got)
	}
	if got := l.Recent(t.Context(), caller("x"), below("a"), 10); len(got) != 0 {
		t.Errorf("recent: got %v", got)
	}
}

func TestStreamsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(w *ending)
		want error
	}{
		{"the credential is revoked", func(w *ending) { w.valid.Store(false) }, events.ErrEnded},
		{"the policy is reloaded", func(w *ending) { w.revision.Add(1) }, events.ErrReloaded},
		{"the gateway stops", func(w *ending) { w.log.Close() }, events.ErrClosed},
	} {
		for _, queued := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.name, ", with an event waiting: ", queued), func(t *testing.T) {
				w := newEnding()
				r := open(t, w.log, caller("x"), below("a"), "")
				if queued {
					w.log.Publish(change("a/1"))
				}
				tc.end(w)
				if _, _, err := r.Next(t.Context(), time.Millisecond); !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
			})
		}
	}
}

type ending struct {
	log      *events.Log
	valid    atomic.Bool
	revision atomic.Int64
}

func newEnding() *ending {
	w := &ending{}
	w.valid.Store(true)
	w.log = events.New(events.Config{
		Allow:    yes,
		Revision: func() string { return fmt.Sprint(w.revision.Load()) },
		Valid: func(*call.Caller) error {
			if !w.valid.Load() {
				return errors.New("revoked")
			}
			return nil
		},
	})
	return w
}

// TestWatchEndsStreams holds that an end comes without an event and without a
// keep-alive.
func TestWatchEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEnding()
		ctx, stop := context.WithCancel(t.Context())
		go w.log.Watch(ctx, time.Second)
		c := caller("x")
		c.Expires = time.Now().Add(5 * time.Second)
		r, err := w.log.Subscribe(c, "s", below("a"), "")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, _, err := r.Next(ctx, time.Hour); !errors.Is(err, events.ErrEnded) || time.Since(start) > 6*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		r.Close()
		stop()
		synctest.Wait()
	})
}

func TestSlowReaderIsCutOff(t *testing.T) {
	l := events.New(events.Config{Allow: yes, Queue: 3})
	slow, quick := open(t, l, caller("x"), below("a"), ""), open(t, l, caller("y"), below("a"), "")
	for i := range 10 {
		l.Publish(change("a/1"))
		if got, _ := next(t, quick); got != "a/1" {
			t.Fatalf("event %d: the quick reader got %q", i, got)
		}
	}
	if got, _ := next(t, slow); got != events.ErrSlow.Error() {
		t.Errorf("the slow reader got %q", got)
	}
}

func TestCaps(t *testing.T) {
	budgets := budget.New(budget.Table{budget.Streams: {Caller: 2, All: 3}})
	l := events.New(events.Config{
		Allow: yes, Topics: 1,
		Hold: func(c *call.Caller) (func(), error) { return budgets.Reserve(budget.Of(c), budget.Streams, 1) },
	})
	open(t, l, caller("x"), below("a"), "")
	second := open(t, l, caller("x"), below("a"), "")
	if _, err := l.Subscribe(caller("x"), "s", below("a"), ""); !call.Is(err, call.RateLimited) {
		t.Errorf("a third reader of one caller got %v", err)
	}
	open(t, l, caller("y"), below("a"), "")
	if _, err := l.Subscribe(caller("z"), "s", below("a"), ""); !call.Is(err, call.Overloaded) {
		t.Errorf("a fourth reader got %v", err)
	}
	if second.Add(events.Topic{Mount: "secret", Path: path("b")}) {
		t.Error("a second topic was taken")
	}
	second.Close()
	open(t, l, caller("z"), below("a"), "")
	many := events.Filter{Topics: make([]events.Topic, 2)}
	if _, err := l.Subscribe(caller("w"), "s", many, ""); !call.Is(err, call.InvalidRequest) {
		t.Errorf("two topics got %v", err)
	}
}

// TestPlacesAloneBoundReaders: whoever raises the budget of streams gets what it says.
func TestPlacesAloneBoundReaders(t *testing.T) {
	l := events.New(events.Config{Allow: yes})
	for range 20_000 {
		open(t, l, caller("x"), below("a"), "")
	}
}

func TestTopicsChangeWhileOpen(t *testing.T) {
	l := events.New(events.Config{Allow: yes})
	r := open(t, l, caller("x"), events.Filter{}, "")
	topic := events.Topic{Mount: "secret", Path: path("a")}
	l.Publish(change("a"))
	if !r.Add(topic) {
		t.Fatal("not added")
	}
	l.Publish(change("a"))
	if got, _ := next(t, r); got != "a" {
		t.Errorf("got %q", got)
	}
	r.Remove(topic)
	l.Publish(change("a"))
	if got, _ := next(t, r); got != events.ErrIdle.Error() {
		t.Errorf("after the removal got %q", got)
	}
}

// TestOwnEventsAreOwn holds that what concerns one caller reaches nobody else.
func TestOwnEventsAreOwn(t *testing.T) {
	l := events.New(events.Config{Allow: yes})
	x, y := open(t, l, caller("x"), events.Filter{}, ""), open(t, l, caller("y"), events.Filter{}, "")
	l.Publish(events.Event{Kind: events.ToolCompleted, Op: "kv.read", Subject: "x", Owner: caller("x").Key()})
	if _, _, err := x.Next(t.Context(), time.Millisecond); err != nil {
		t.Errorf("the owner got %v", err)
	}
	if _, _, err := y.Next(t.Context(), time.Millisecond); !errors.Is(err, events.ErrIdle) {
		t.Errorf("somebody else got %v", err)
	}
	if got := l.Recent(t.Context(), caller("y"), events.Filter{}, 10); len(got) != 0 {
		t.Errorf("somebody else sees %v", got)
	}
	if got := l.Recent(t.Context(), caller("x"), events.Filter{}, 10); len(got) != 1 {
		t.Errorf("the owner sees %v", got)
	}
}

// TestIdleReadersAreSmall bounds what a reader that waits costs, its goroutine
// not counted.
func TestIdleReadersAreSmall(t *testing.T) {
	l := events.New(events.Config{Allow: yes})
	const n = 5000
	before := heap()
	for i := range n {
		open(t, l, caller(fmt.Sprint("c", i)), below(fmt.Sprint("a/", i)), "")
	}
	if per := (heap() - before) / n; per > 4096 {
		t.Errorf("a reader takes %d bytes", per)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func ExampleLog() {
	l := events.New(events.Config{Allow: yes})
	r, _ := l.Subscribe(caller("agent"), "events", below("mcp/agent"), "")
	defer r.Close()
	l.Publish(change("mcp/agent/app"))
	e, _, _ := r.Next(context.Background(), time.Second)
	fmt.Println(e.Kind, e.Path, e.Source)
	// Output: resource.changed mcp/agent/app gateway
}

// TestARecordedChangeOutlivesItsReplica: the answer to a change waits until the shared log
// has it.
func TestARecordedChangeOutlivesItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		l := events.New(events.Config{Send: func(events.Event) <-chan struct{} { return sent }})
		var recorded atomic.Bool
		go func() {
			l.Record(&op.Record{Bound: &op.Bound{Op: &op.Op{Spec: op.Spec{Engine: "kv", Effect: op.Write}}, Caller: caller("x")}})
			recorded.Store(true)
		}()
		if synctest.Wait(); recorded.Load() {
			t.Error("it did not wait")
		}
		close(sent)
		if synctest.Wait(); !recorded.Load() {
			t.Error("it waits on")
		}
	})
}
