package changes_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// outside is a store that is changed past the gateway.
type outside struct {
	mu       sync.Mutex // guards what follows
	versions map[string]int
	looks    map[string]int
	broken   bool // lists fail
}

func (o *outside) write(p string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[p]++
}

func (o *outside) look(_ context.Context, _ *call.Caller, t events.Topic) (changes.Metadata, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks[t.Path.String()]++
	v, ok := o.versions[t.Path.String()]
	if !ok {
		return changes.Metadata{}, errors.New("not there")
	}
	return changes.Metadata{Version: v}, nil
}

func (o *outside) looksAt(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.looks[path]
}

func (o *outside) list(_ context.Context, _ *call.Caller, t events.Topic) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks[t.Path.String()+"/"]++
	if o.broken {
		return nil, errors.New("broken")
	}
	names := map[string]bool{}
	for p := range o.versions {
		if rest, ok := strings.CutPrefix(p, t.Path.String()+"/"); ok {
			name, _, deeper := strings.Cut(rest, "/")
			if deeper {
				name += "/"
			}
			names[name] = true
		}
	}
	return slices.Collect(maps.Keys(names)), nil
}

func TestPollerSubtree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		o := &outside{versions: map[string]int{"a/1": 1, "a/b/2": 1, "z/9": 1}, looks: map[string]int{}}
		p := &changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: time.Second, PerSecond: 1000, Read: o.look, List: o.list}
		ctx, stop := context.WithCancel(t.Context())
		var rs []*events.Reader
		for _, f := range []events.Filter{below("a"), below("a"), below("a/b"), {Topics: []events.Topic{{Mount: "secret", Path: path("a/1")}}}} {
			r, err := l.Subscribe(caller("x"), "s", f, "")
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, r)
		}
		go p.Run(ctx)
		hear := func() string {
			e, _, err := rs[0].Next(ctx, 5*time.Second)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(e.Path, " ", e.Version, " ", e.Source)
		}
		idle := events.ErrIdle.Error()
		ours := func(p string, version int) {
			e := change(p)
			e.Version = version
			l.Publish(e)
		}
		for _, tc := range []struct {
			name string
			do   func()
			want string
		}{
			{"nothing happens", func() {}, idle},
			{"a write", func() { o.write("a/1") }, "a/1 2 poll"},
			{"a write deeper down", func() { o.write("a/b/2") }, "a/b/2 2 poll"},
			{"a new name", func() { o.write("a/new") }, "a/new 1 poll"},
			{"a new subtree", func() { o.write("a/c/d/e") }, "a/c/d/e 1 poll"},
			{"a write in it", func() { o.write("a/c/d/e") }, "a/c/d/e 2 poll"},
			{"a name goes", func() { o.mu.Lock(); defer o.mu.Unlock(); delete(o.versions, "a/new") }, "a/new 0 poll"},
			{"a subtree goes", func() { o.mu.Lock(); defer o.mu.Unlock(); delete(o.versions, "a/c/d/e") }, "a/c/d/e 0 poll"},
			{"our own write", func() { o.write("a/1"); ours("a/1", 3) }, "a/1 3 gateway"},
			{"our own write, found before it is told of", func() {
				o.write("a/1")
				before := o.looksAt("a/1")
				for o.looksAt("a/1") == before {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond)
				ours("a/1", 4)
			}, "a/1 4 gateway"},
			{"our own new name", func() { o.write("a/own"); ours("a/own", 1) }, "a/own 1 gateway"},
			{"our own new subtree", func() { o.write("a/o/w/n"); ours("a/o/w/n", 1) }, "a/o/w/n 1 gateway"},
			{"somewhere else", func() { o.write("z/9") }, idle},
			{"a list that fails", func() { o.mu.Lock(); defer o.mu.Unlock(); o.broken = true }, idle},
			{"and works again", func() { o.mu.Lock(); defer o.mu.Unlock(); o.broken = false }, idle},
		} {
			tc.do()
			if got := hear(); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
			}
			if got := hear(); got != idle {
				t.Errorf("%s: told twice, the second time %q", tc.name, got)
			}
		}
		o.mu.Lock()
		if n, m := o.looks["a/b/2"], o.looks["a/b/"]; n == 0 || n > m+1 {
			t.Errorf("%d looks in %d rounds at what three topics cover", n, m)
		}
		if o.looks["z/9"] != 0 {
			t.Error("looked at what nobody has subscribed to")
		}
		o.mu.Unlock()
		stop()
		synctest.Wait()
		for _, r := range rs {
			r.Close()
		}
	})
}

// TestPollerIsBounded holds that a great subtree is neither looked at as a whole
// nor told of by mistake.
func TestPollerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		o := &outside{versions: map[string]int{}, looks: map[string]int{}}
		for i := range 100 {
			o.write(fmt.Sprintf("a/%03d", i))
		}
		p := &changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: time.Second, PerSecond: 1000, Names: 10, Read: o.look, List: o.list}
		ctx, stop := context.WithCancel(t.Context())
		r, err := l.Subscribe(caller("x"), "s", below("a"), "")
		if err != nil {
			t.Fatal(err)
		}
		go p.Run(ctx)
		time.Sleep(10 * time.Second)
		o.write("a/0000") // comes first, so another one is no longer looked at
		time.Sleep(10 * time.Second)
		if got, _ := next(t, r); got != "a/0000" {
			t.Errorf("got %q", got)
		}
		if got, _ := next(t, r); got != events.ErrIdle.Error() {
			t.Errorf("told of what is no longer looked at: %q", got)
		}
		o.mu.Lock()
		if n := len(o.looks); n > 12 {
			t.Errorf("looked at %d names", n)
		}
		o.mu.Unlock()
		stop()
		synctest.Wait()
		r.Close()
	})
}

func TestPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		var version, looks atomic.Int64
		version.Store(1)
		p := &changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: time.Second, Read: func(context.Context, *call.Caller, events.Topic) (changes.Metadata, error) {
			looks.Add(1)
			return changes.Metadata{Version: int(version.Load())}, nil
		}}
		ctx, stop := context.WithCancel(t.Context())
		topic := events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path("a")}}}
		var rs []*events.Reader
		for range 20 {
			r, err := l.Subscribe(caller("x"), "s", topic, "")
			if err != nil {
				t.Fatal(err)
			}
			rs = append(rs, r)
		}
		go p.Run(ctx)
		if _, _, err := rs[0].Next(ctx, 10*time.Second); !errors.Is(err, events.ErrIdle) {
			t.Errorf("without a change got %v", err)
		}
		if n := looks.Load(); n < 5 || n > 15 {
			t.Errorf("20 readers of one secret made %d looks in 10 rounds", n)
		}
		version.Store(2)
		e, _, err := rs[0].Next(ctx, 10*time.Second)
		if err != nil || e.Source != events.FromPoll || e.Version != 2 {
			t.Errorf("a change past the gateway gave %v %v", e, err)
		}
		version.Store(3)
		own := change("a")
		own.Version = 3
		l.Publish(own)
		if e, _, err := rs[0].Next(ctx, 10*time.Second); err != nil || e.Source != events.FromGateway {
			t.Errorf("our own change gave %v %v", e, err)
		}
		if e, _, err := rs[0].Next(ctx, 10*time.Second); !errors.Is(err, events.ErrIdle) {
			t.Errorf("our own change was told twice: %v %v", e, err)
		}
		stop()
		synctest.Wait()
		for _, r := range rs {
			r.Close()
		}
	})
}
