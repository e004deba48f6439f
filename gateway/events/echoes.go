package events

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// echoes matches what Vault tells of with what the gateway has done itself, one for
// one, so that a change through the gateway is told once; so is one that a look has
// found. Either may come first.
type echoes struct {
	publish func(Event)

	mu      sync.Mutex            // guards what follows; taken after the log's
	ours    map[Topic][]time.Time // our changes that Vault has not told of yet
	waiting map[Topic][]*heard    // what Vault has told of that may be ours
	looked  map[Topic]found       // what a look has just found
	swept   time.Time
}

// heard is an event that waits for our own word of it.
type heard struct {
	timer   *time.Timer
	version int
}

// found is the version that a look has found, and when.
type found struct {
	version int
	at      time.Time
}

const (
	echoWait = time.Second      // for our own word, after Vault's
	echoLate = 10 * time.Second // after which Vault's word of our own change does not come any more
	echoMost = 10_000           // events that wait; what is more is told at once
)

func newEchoes(publish func(Event)) *echoes {
	return &echoes{publish: publish, ours: map[Topic][]time.Time{}, waiting: map[Topic][]*heard{}, looked: map[Topic]found{}}
}

// told notes what others have told of. It has the form of a watcher of the log.
func (s *echoes) told(e Event) {
	switch {
	case e.Kind != ResourceChanged:
	case e.Source == FromGateway:
		s.own(e)
	case e.Source == FromPoll:
		s.found(e)
	}
}

// found notes a change that a look has found. Vault's word of it is not needed any
// more, whether it waits or is about to come.
func (s *echoes) found(e Event) {
	now, t := time.Now(), Topic{Mount: e.Mount, Path: e.Path}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.looked[t] = found{e.Version, now}
	for _, w := range slices.Clone(s.waiting[t]) {
		if w.version <= e.Version {
			w.timer.Stop()
			s.take(t, w)
		}
	}
}

// own notes a change of ours.
func (s *echoes) own(e Event) {
	now, t := time.Now(), Topic{Mount: e.Mount, Path: e.Path}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if w := s.waiting[t]; len(w) > 0 {
		w[0].timer.Stop()
		s.take(t, w[0])
		return
	}
	s.ours[t] = append(s.ours[t], now)
}

// heard takes an event of Vault's.
func (s *echoes) heard(e Event) {
	now, t := time.Now(), Topic{Mount: e.Mount, Path: e.Path}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if n := len(s.ours[t]); n > 0 {
		if s.ours[t] = s.ours[t][1:]; n == 1 {
			delete(s.ours, t)
		}
		return
	}
	if l, ok := s.looked[t]; ok && now.Sub(l.at) < echoWait && e.Version <= l.version {
		return
	}
	e.Time = now
	wait := echoWait
	if len(s.waiting) >= echoMost {
		wait = 0
	}
	h := &heard{version: e.Version}
	s.waiting[t] = append(s.waiting[t], h)
	h.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		mine := s.take(t, h)
		s.mu.Unlock()
		if mine {
			s.publish(e)
		}
	})
}

// take ends an event's wait and reports whether it has not ended before. The lock
// is held.
func (s *echoes) take(t Topic, h *heard) bool {
	i := slices.Index(s.waiting[t], h)
	if i < 0 {
		return false
	}
	if s.waiting[t] = slices.Delete(s.waiting[t], i, i+1); len(s.waiting[t]) == 0 {
		delete(s.waiting, t)
	}
	return true
}

// sweep forgets our changes that Vault does not tell of, at most once a second. The
// lock is held.
func (s *echoes) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Second {
		return
	}
	s.swept = now
	maps.DeleteFunc(s.looked, func(_ Topic, l found) bool { return now.Sub(l.at) > echoWait })
	for t, times := range s.ours {
		times = slices.DeleteFunc(times, func(at time.Time) bool { return now.Sub(at) > echoLate })
		if s.ours[t] = times; len(times) == 0 {
			delete(s.ours, t)
		}
	}
}
