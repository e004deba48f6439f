package changes_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/events"
)

// told reads the events of a reader, until nothing comes for a while.
func told(t testing.TB, r *events.Reader) string {
	t.Helper()
	var out []string
	for {
		e, _, err := r.Next(t.Context(), 5*time.Second)
		if err != nil {
			return strings.Join(out, ", ")
		}
		out = append(out, fmt.Sprintf("%s %s %d", e.Source, e.Op, e.Version))
	}
}

func TestVaultEvents(t *testing.T) {
	for operation, want := range map[string]string{
		"data-write": "vault kv.write 7", "data-patch": "vault kv.patch 7", "data-delete": "vault kv.delete 7", "delete": "vault kv.delete 7",
		"undelete": "vault kv.undelete 7", "destroy": "vault kv.destroy 7", "metadata-delete": "vault  7", "metadata-patch": "vault  7",
		"config-write": "", "": "", "data-read": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			l := events.New(events.Config{Allow: yes})
			r := open(t, l, caller("x"), below("a"), "")
			changes.NewVaultEvents(changes.NewDeduper(l), "secret").Changed(operation, path("a/b"), 7)
			if got := told(t, r); got != want {
				t.Errorf("%s: told of %q, want %q", operation, got, want)
			}
		})
	}
}

// TestVaultEventsAreDecided holds that an event of Vault's is delivered to whom the policy
// allows it, and to nobody else.
func TestVaultEventsAreDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: func(_ context.Context, c *call.Caller, _ events.Event) bool { return c.Subject == "x" }})
		r, other := open(t, l, caller("x"), below("a"), ""), open(t, l, caller("y"), below("a"), "")
		changes.NewVaultEvents(changes.NewDeduper(l), "secret").Changed("data-write", path("a/b"), 1)
		if x, y := told(t, r), told(t, other); x != "vault kv.write 1" || y != "" {
			t.Errorf("told of %q and %q", x, y)
		}
	})
}

// TestVaultEventsAndPollerTellOnce: a change that both find is reported once, whichever is
// first, and so is one through the gateway.
func TestVaultEventsAndPollerTellOnce(t *testing.T) {
	poll := func(v int) events.Event {
		e := change("a/b")
		e.Op, e.Version, e.Source = "", v, events.FromPoll
		return e
	}
	for name, tc := range map[string]struct {
		do   func(l *events.Log, f *changes.VaultEvents, p call.Path)
		want string
	}{
		"Vault first": {func(l *events.Log, f *changes.VaultEvents, p call.Path) {
			f.Changed("data-write", p, 2)
			l.Publish(poll(2))
		}, "poll  2"},
		"look first": {func(l *events.Log, f *changes.VaultEvents, p call.Path) {
			l.Publish(poll(2))
			f.Changed("data-write", p, 2)
		}, "poll  2"},
		"a later write": {func(l *events.Log, f *changes.VaultEvents, p call.Path) {
			l.Publish(poll(2))
			f.Changed("data-write", p, 3)
		}, "poll  2, vault kv.write 3"},
		"a later deletion": {func(l *events.Log, f *changes.VaultEvents, p call.Path) {
			l.Publish(poll(2))
			time.Sleep(2 * time.Second)
			f.Changed("data-delete", p, 2)
		}, "poll  2, vault kv.delete 2"},
		"ours": {func(l *events.Log, f *changes.VaultEvents, p call.Path) {
			f.Changed("data-write", p, 1)
			l.Publish(change("a/b"))
		}, "gateway  0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := events.New(events.Config{Allow: yes})
				r := open(t, l, caller("x"), below("a"), "")
				tc.do(l, changes.NewVaultEvents(changes.NewDeduper(l), "secret"), path("a/b"))
				if got := told(t, r); got != tc.want {
					t.Errorf("told of %q, want %q", got, tc.want)
				}
			})
		})
	}
}

// TestPollerAsFallback: while something else reports changes there are few looks; what
// was changed before it began, or while it failed, is found soon.
func TestPollerAsFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		o := &outside{versions: map[string]int{"a/1": 1}, looks: map[string]int{}}
		p := &changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: time.Second, Read: o.look, List: o.list}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		r := open(t, l, caller("x"), events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path("a/1")}}}, "")
		go func() { defer close(done); p.Run(ctx) }()
		time.Sleep(5 * time.Second)
		o.write("a/1")
		p.SetFallback(true)
		if _, _, err := r.Next(t.Context(), 4*time.Second); err != nil {
			t.Errorf("a change before: %v", err)
		}
		time.Sleep(30 * time.Second)
		before := o.count()
		time.Sleep(time.Minute)
		if n := o.count() - before; n < 3 || n > 8 {
			t.Errorf("%d looks in a minute", n)
		}
		o.write("a/1")
		p.SetFallback(false)
		if _, _, err := r.Next(t.Context(), 3*time.Second); err != nil {
			t.Errorf("a change while it failed: %v", err)
		}
		stop()
		<-done
	})
}

// TestPollerObservesWhileItReads: a change that is reported while a look is under way is
// not reported by the next look as well.
func TestPollerObservesWhileItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := events.New(events.Config{Allow: yes})
		o := &outside{versions: map[string]int{"a/b": 1}, looks: map[string]int{}}
		var once bool
		look := func(ctx context.Context, c *call.Caller, topic events.Topic) (changes.Metadata, error) {
			seen, err := o.look(ctx, c, topic)
			if o.count() > 2 && !once {
				once = true
				o.write("a/b")
				e := change("a/b")
				e.Version = 2
				l.Publish(e)
			}
			return seen, err
		}
		r := open(t, l, caller("x"), events.Filter{Topics: []events.Topic{{Mount: "secret", Path: path("a/b")}}}, "")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&changes.Poller{Log: l, Deduper: changes.NewDeduper(l), Every: time.Second, Read: look}).Run(ctx)
		}()
		if got := told(t, r); got != "gateway  2" {
			t.Errorf("told of %q", got)
		}
		stop()
		<-done
	})
}

// count is the number of looks.
func (o *outside) count() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.looks {
		n += c
	}
	return n
}
