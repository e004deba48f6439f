package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The gateway's own heap is small, and at Go's default the collector takes about a tenth
// of a decision's time; so it may grow to three times of what is in use. What others make
// it hold for a while is more, and may not be tripled: garbage has the same room then, which
// is half as much as has been in use for minutes where that is more. What lives for long
// comes to lie wherever there was room, so the room that garbage had is never given back.
const (
	gcPercent    = 200
	leastPercent = 20
	percentStep  = 10       // each change stops the process for a moment
	garbage      = 14 << 20 // bytes
	forLong      = 5 * time.Minute
)

// Memory that is not used any more is given back to the system when it is that much, and
// nothing has been collected for a while, so that nobody waits for it. What the start alone
// has needed is given back once, whatever it is: nobody calls yet, or nobody notices.
const (
	giveBack     = 32 << 20 // bytes
	idleFor      = 10 * time.Second
	measureEvery = 250 * time.Millisecond
)

// TuneGC leaves a value that the operator has set (GOGC) alone, and reports whether it is
// ours.
func TuneGC() (ours bool) {
	if old := debug.SetGCPercent(gcPercent); old != 100 && old != gcPercent {
		debug.SetGCPercent(old)
		return false
	}
	return true
}

// percentFor is how much the heap may grow, in percent of what is in use, when so much of
// that was there for minutes.
func percentFor(inUse, lasting uint64) int {
	p := int(max(garbage, lasting/2) * 100 / max(inUse, 1<<20)) //nolint:gosec // less than any memory
	return min(max(p/percentStep*percentStep, leastPercent), gcPercent)
}

// lowest is the least of a number over the last minutes, in two windows.
type lowest struct {
	since      time.Time
	now, prior uint64
}

// add takes one more reading, and returns the least.
func (l *lowest) add(n uint64, at time.Time) uint64 {
	switch {
	case l.since.IsZero():
		l.since, l.now, l.prior = at, n, n
	case at.Sub(l.since) >= forLong:
		l.since, l.now, l.prior = at, n, l.now
	}
	l.now = min(l.now, n)
	return min(l.now, l.prior)
}

// usage is what Go says of its memory.
type usage struct {
	live      uint64 // bytes that the last collection has left in use
	stacks    uint64 // bytes of goroutines' stacks
	held      uint64 // bytes of heap that the system has given, used or not
	collected uint64 // collections so far
}

func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	u := usage{live: number(s[0]), collected: number(s[1]), stacks: number(s[2])}
	for _, part := range s[3:] {
		u.held += number(part)
	}
	return u
}

// number is 0 for what this version of Go does not tell.
func number(s metrics.Sample) uint64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s.Value.Uint64()
}

// memorySaver keeps the memory small that Go holds beside what is in use.
type memorySaver struct {
	usage      func() usage
	setPercent func(int) // nil leaves the collector alone
	free       func()    // runs a collection and returns unused memory to the system

	percent int
	least   lowest    // bytes in use
	seen    uint64    // collections when they were read last
	since   time.Time // when that number was first seen
	left    uint64    // bytes that were held after the last time that some were given back
}

// step reads the usage once, and acts on it.
func (t *memorySaver) step(now time.Time) {
	u := t.usage()
	inUse := u.live + u.stacks // which is what Go takes its percentage of
	if p := percentFor(inUse, t.least.add(inUse, now)); t.setPercent != nil && p != t.percent {
		t.percent = p
		t.setPercent(p)
	}
	started := t.since.IsZero()
	if u.collected != t.seen || started {
		t.seen, t.since = u.collected, now
	}
	if !started && (now.Sub(t.since) < idleFor || u.held < t.left+giveBack) {
		return
	}
	t.free()
	u = t.usage()
	t.seen, t.since, t.left = u.collected, now, u.held
}

func freeMemory() {
	debug.FreeOSMemory()
	unmapProgram()
}

// saveMemory runs until ctx ends.
func (g *Server) saveMemory(ctx context.Context) {
	t := &memorySaver{usage: readUsage, free: freeMemory}
	if g.tunesGC {
		t.setPercent = func(p int) { debug.SetGCPercent(p) }
	}
	for tick := time.NewTicker(measureEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case now := <-tick.C:
			t.step(now)
		}
	}
}
