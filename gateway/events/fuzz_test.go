package events_test

import (
	"context"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// FuzzIsolation plays any order of subscribing, publishing, reading and replaying
// by two callers, and holds that neither ever hears of the other: not live, not
// replayed, not with the other's ids.
func FuzzIsolation(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte{0, 0, 4, 4, 8, 5, 9, 2, 6, 10, 14, 3, 7, 11, 15})
	f.Fuzz(func(t *testing.T, steps []byte) {
		g := &game{
			log: events.New(events.Config{Size: 8, Queue: 4, Allow: func(_ context.Context, c *call.Caller, e events.Event) bool {
				return e.Path.Within(c.Prefix)
			}}),
			callers: [2]*call.Caller{caller("one"), caller("two")},
			ids:     []string{""},
		}
		for _, s := range steps[:min(len(steps), 200)] {
			g.step(t, s)
		}
	})
}

// game is the state of one play.
type game struct {
	log     *events.Log
	callers [2]*call.Caller
	readers []*events.Reader
	owners  []*call.Caller
	ids     []string
}

func (g *game) step(t *testing.T, s byte) {
	c, n := g.callers[s>>2&1], int(s>>3)
	switch s & 3 {
	case 0:
		g.log.Publish(change("mcp/" + c.Subject + "/app"))
		g.log.Publish(events.Event{Kind: events.ToolCompleted, Subject: c.Subject, Owner: c.Key()})
	case 1: // everything, with anybody's id
		f := events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}
		if r, err := g.log.Subscribe(c, "s", f, g.ids[n%len(g.ids)]); err == nil {
			g.readers, g.owners = append(g.readers, r), append(g.owners, c)
		}
	case 2:
		if len(g.readers) > 0 {
			g.read(t, n%len(g.readers))
		}
	case 3:
		for _, e := range g.log.Recent(t.Context(), c, events.Filter{Topics: []events.Topic{{Mount: "secret", Below: true}}}, 10) {
			own(t, c, e)
		}
	}
}

func (g *game) read(t *testing.T, i int) {
	e, id, err := g.readers[i].Next(t.Context(), time.Microsecond)
	if err != nil {
		return
	}
	g.ids = append(g.ids, id)
	own(t, g.owners[i], *e)
}

func own(t *testing.T, c *call.Caller, e events.Event) {
	t.Helper()
	if !e.Path.Within(c.Prefix) && e.Kind == events.ResourceChanged || e.Owner != "" && e.Owner != c.Key() {
		t.Fatalf("%s heard of %+v", c.Subject, e)
	}
}
