package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The gateway's own heap is small, and at Go's default the collector takes about a tenth
// of a decision's time; so it may grow to three times of what is in use. What others make
// it hold is more, and may not be tripled.
const (
	gcPercent  = 200
	smallHeap  = 32 << 20 // bytes in use up to which gcPercent holds
	mediumHeap = 96 << 20 // up to which Go's default does, and half of it beyond
)

// Memory that is not used any more is given back to the system when it is that much, and
// nothing has been collected for a while, so that nobody waits for it. What the start alone
// has needed is given back once, whatever it is: nobody calls yet, or nobody notices.
const (
	giveBack     = 32 << 20 // bytes
	idleFor      = 10 * time.Second
	measureEvery = time.Second
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

// percentFor is how much the heap may grow over what is in use, in percent of that.
func percentFor(live uint64) int {
	switch {
	case live <= smallHeap:
		return gcPercent
	case live <= mediumHeap:
		return 100
	default:
		return 50
	}
}

// usage is what Go says of its memory.
type usage struct {
	live      uint64 // bytes that the last collection has left in use
	held      uint64 // bytes of heap that the system has given, used or not
	collected uint64 // collections so far
}

func readUsage() usage {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	u := usage{live: number(s[0]), collected: number(s[1])}
	for _, part := range s[2:] {
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
	seen    uint64    // collections when they were read last
	since   time.Time // when that number was first seen
	least   uint64    // bytes that were held after the last time that some were given back
}

// step reads the usage once, and acts on it.
func (t *memorySaver) step(now time.Time) {
	u := t.usage()
	if p := percentFor(u.live); t.setPercent != nil && p != t.percent {
		t.percent = p
		t.setPercent(p)
	}
	started := t.since.IsZero()
	if u.collected != t.seen || started {
		t.seen, t.since = u.collected, now
	}
	if !started && (now.Sub(t.since) < idleFor || u.held < t.least+giveBack) {
		return
	}
	t.free()
	u = t.usage()
	t.seen, t.since, t.least = u.collected, now, u.held
}

// saveMemory runs until ctx ends.
func (g *Server) saveMemory(ctx context.Context) {
	t := &memorySaver{usage: readUsage, free: debug.FreeOSMemory}
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
