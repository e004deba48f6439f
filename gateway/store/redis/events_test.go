package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/events"
)

// replica is one gateway's view of the shared log.
type replica struct {
	t    *testing.T
	log  *events.Log
	stop func()
}

// join adds a replica to the log in a Redis, and waits until it has read it.
func join(t *testing.T, r *stack.Redis) *replica {
	t.Helper()
	s := open(t, r.URL())
	shared := s.NewEvents()
	l := events.New(events.Config{
		Allow: func(context.Context, *call.Caller, events.Event) bool { return true }, Send: shared.Send,
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { shared.Run(ctx, l) })
	out := &replica{t, l, sync.OnceFunc(func() { stop(); wg.Wait() })}
	t.Cleanup(out.stop)
	probe := out.open("")
	defer probe.Close()
	out.publish("probe")
	for out.next(&probe) != "probe" { // others may be publishing
		if t.Failed() || t.Context().Err() != nil {
			t.FailNow()
		}
	}
	return out
}

func agent() *call.Caller { return &call.Caller{Subject: "agent"} }

func (r *replica) publish(path string) {
	p, err := call.ParsePath(path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log.Publish(events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: p, Subject: "agent", Source: events.FromGateway, Version: 3})
}

func (r *replica) open(after string) *events.Reader {
	r.t.Helper()
	rd, err := r.log.Subscribe(agent(), "stream", events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}, after)
	if err != nil {
		r.t.Fatal(err)
	}
	return rd
}

// next is the path of the next event. A reader that was told that it has missed events
// connects again, as clients do.
func (r *replica) next(rd **events.Reader) string {
	r.t.Helper()
	for range 10 {
		e, _, err := (*rd).Next(r.t.Context(), wait)
		if err == nil {
			return e.Path.String()
		}
		if !errors.Is(err, events.ErrSlow) {
			r.t.Fatal(err)
		}
		(*rd).Close()
		*rd = r.open("")
		r.publish("probe")
	}
	return "missed"
}

// told is next without the probes of replicas that have just come.
func (r *replica) told(rd **events.Reader) string {
	r.t.Helper()
	for {
		if got := r.next(rd); got != "probe" {
			return got
		}
	}
}

// TestAllReplicasTellTheSame: in the same order, and once, whoever has published.
func TestAllReplicasTellTheSame(t *testing.T) {
	r := server(t)
	replicas := []*replica{join(t, r), join(t, r), join(t, r)}
	var readers []*events.Reader
	for _, one := range replicas {
		readers = append(readers, one.open(""))
	}
	const each = 40
	var wg sync.WaitGroup
	for i, one := range replicas {
		wg.Go(func() {
			for n := range each {
				one.publish(fmt.Sprintf("a/%d-%d", i, n))
			}
		})
	}
	wg.Wait()
	var want []string
	for i, rd := range readers {
		var got []string
		seen := map[string]bool{}
		for len(got) < 3*each {
			e, _, err := rd.Next(t.Context(), wait)
			if err != nil {
				t.Fatalf("replica %d after %d events: %v", i, len(got), err)
			}
			if p := e.Path.String(); p != "probe" {
				if seen[p] {
					t.Errorf("replica %d tells of %s twice", i, p)
				}
				got, seen[p] = append(got, p), true
			}
		}
		if want == nil {
			want = got
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("replica %d has another order", i)
		}
	}
}

// TestAStreamGoesOnElsewhere: with the id of one replica at another, at one that is new as
// well, without a gap and without an event twice.
func TestAStreamGoesOnElsewhere(t *testing.T) {
	r := server(t)
	a, b := join(t, r), join(t, r)
	rd := a.open("")
	for n := range 10 {
		b.publish(fmt.Sprint("a/", n))
	}
	id := ""
	for n := 0; n < 4; {
		e, at, err := rd.Next(t.Context(), wait)
		if err != nil {
			t.Fatal(err)
		}
		if e.Path.String() != "probe" {
			n, id = n+1, at
		}
	}
	a.stop()
	for name, one := range map[string]*replica{"another": b, "a new one": join(t, r)} {
		again := one.open(id)
		if again.Missed() {
			t.Fatalf("%s does not know the id", name)
		}
		for n := 4; n < 10; n++ {
			if got := one.told(&again); got != fmt.Sprint("a/", n) {
				t.Errorf("%s: got %q, want a/%d", name, got, n)
			}
		}
		again.Close()
	}
}

// TestEventsWaitForRedis: what happens while it is away is reported once it is back; who has
// an id of before is told that it may have missed events, because Redis has forgotten.
func TestEventsWaitForRedis(t *testing.T) {
	r := server(t)
	a, b := join(t, r), join(t, r)
	rd := b.open("")
	old := rd.Position()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		a.publish(fmt.Sprint("a/", n))
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "told of the loss", func() bool { _, _, err := rd.Next(t.Context(), time.Second); return errors.Is(err, events.ErrSlow) })
	var recent []events.Event
	e2e.Eventually(t, "told of what had waited", func() bool {
		recent = slices.DeleteFunc(b.log.Recent(t.Context(), agent(), events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}, 100),
			func(e events.Event) bool { return e.Path.String() == "probe" }) // sent again when its answer was lost
		return len(recent) >= 5
	})
	for n, e := range recent {
		if e.Path.String() != fmt.Sprint("a/", n) {
			t.Errorf("event %d is %s", n, e.Path)
		}
	}
	if again := b.open(old); !again.Missed() {
		t.Error("an id of the log that is lost does not say so")
	}
}

// TestALongLogIsReadInPages: a replica that begins reads as many of the last events as a log
// holds, whatever more somebody has put there, and not all of them at once.
func TestALongLogIsReadInPages(t *testing.T) {
	r := server(t)
	join(t, r).publish("a/first")
	c := client(t, r)
	const more = 40_000
	if _, err := c.Pipelined(t.Context(), func(p goredis.Pipeliner) error {
		for i := range more {
			p.XAdd(t.Context(), &goredis.XAddArgs{
				Stream: "test:v1:events:{log}:stream", ID: fmt.Sprintf("%d-0", 100+i),
				Values: []string{"o", "x", "e", fmt.Sprintf(`{"kind":"resource_changed","mount":"secret","path":"a/%d","source":"gateway","time":"2026-01-02T03:04:05Z"}`, i)},
			})
		}
		p.Set(t.Context(), "test:v1:events:{log}:seq", 100+more, 0)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	calls := func() (n int) {
		for line := range strings.Lines(c.Info(t.Context(), "commandstats").Val()) {
			_, _ = fmt.Sscanf(line, "cmdstat_xrange:calls=%d", &n) // of the one line that it is
		}
		return n
	}
	before := calls()
	late := join(t, r)
	if n := calls() - before; n < 32 || n > 40 { // 16,384 events, 512 at once, and its first one
		t.Errorf("the log was read with %d looks", n)
	}
	rd := late.open("")
	defer rd.Close()
	late.publish("a/last")
	if got := late.told(&rd); got != "a/last" {
		t.Errorf("got %s", got)
	}
	kept := late.log.Recent(t.Context(), agent(), events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}, 100)
	if len(kept) != 100 {
		t.Errorf("%d events of before are known", len(kept))
	}
}

// TestAFindingOfSeveralReplicasIsToldOnce: each of them finds a change that was made past
// the gateway. What the same replica finds again is another change.
func TestAFindingOfSeveralReplicasIsToldOnce(t *testing.T) {
	r := server(t)
	a, b := join(t, r), join(t, r)
	rd := b.open("")
	p, err := call.ParsePath("a/found")
	if err != nil {
		t.Fatal(err)
	}
	found := events.Event{Kind: events.ResourceChanged, Mount: "secret", Path: p, Version: 2, Source: events.FromPoll}
	want := func(path string) {
		t.Helper()
		if got := b.told(&rd); got != path {
			t.Errorf("got %q, want %q", got, path)
		}
	}
	a.log.Publish(found)
	want("a/found")
	b.log.Publish(found)
	b.publish("a/only")
	want("a/only")
	a.log.Publish(found)
	want("a/found")
}
