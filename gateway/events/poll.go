package events

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Poller finds changes that were made past the gateway: it looks at the metadata
// of the secrets that somebody has subscribed to by name. However many readers a
// secret has, it is looked at once in a round.
type Poller struct {
	Log *Log
	// Look returns what the metadata of a secret says, as one of its subscribers.
	Look func(ctx context.Context, c *call.Caller, t Topic) (Seen, error)
	// Every is the time between two looks at one secret, default 5 s.
	Every time.Duration
	// PerSecond caps the looks; with more secrets a round takes longer. Default 50.
	PerSecond int

	mu   sync.Mutex // guards seen
	seen map[Topic]*state
}

// Seen is what the metadata of a secret says.
type Seen struct {
	Version int
	Updated string // time of the last change
}

// state is what is known of a subscribed secret.
type state struct {
	last  Seen
	known bool // last was read, or told by our own write
	dirty bool // our own change is not in last yet
}

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	if p.Every == 0 {
		p.Every = 5 * time.Second
	}
	if p.PerSecond == 0 {
		p.PerSecond = 50
	}
	p.seen = map[Topic]*state{}
	p.Log.watch(p.own)
	for p.round(ctx) {
	}
}

// round looks once at everything that is subscribed to, spread over the interval.
func (p *Poller) round(ctx context.Context) bool {
	work := p.Log.subscribed()
	p.forget(work)
	step := p.Every
	if n := len(work); n > 0 {
		step = max(p.Every/time.Duration(n), time.Second/time.Duration(p.PerSecond))
	}
	for t, c := range work {
		if !pause(ctx, jitter(step)) {
			return false
		}
		p.look(ctx, c, t)
	}
	return len(work) > 0 || pause(ctx, jitter(step))
}

// jitter spreads a pause by a quarter to both sides.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // spreads load, guards nothing
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// subscribed returns every secret that is subscribed to by name, each with one of
// its subscribers.
func (l *Log) subscribed() map[Topic]*call.Caller {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[Topic]*call.Caller, len(l.exact))
	for _, readers := range l.exact {
		for r := range readers {
			for _, t := range r.topicsOf() {
				if !t.Below {
					out[t] = r.caller
				}
			}
			break
		}
	}
	return out
}

func (r *Reader) topicsOf() []Topic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.filter.Topics
}

// forget drops what nobody is subscribed to any more.
func (p *Poller) forget(work map[Topic]*call.Caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.seen {
		if work[t] == nil {
			delete(p.seen, t)
		}
	}
	for t := range work {
		if p.seen[t] == nil {
			p.seen[t] = &state{}
		}
	}
}

// own notes a change that the gateway has made itself, so that it is not told twice.
func (p *Poller) own(e Event) {
	if e.Kind != ResourceChanged || e.Source == FromPoll {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.seen[Topic{Mount: e.Mount, Path: e.Path}]; s != nil {
		s.last.Version = max(s.last.Version, e.Version)
		s.known, s.dirty = s.known || e.Version > 0, true
	}
}

func (p *Poller) look(ctx context.Context, c *call.Caller, t Topic) {
	now, err := p.Look(ctx, c, t)
	if err != nil || !p.changed(t, now) {
		return
	}
	p.Log.Publish(Event{Kind: ResourceChanged, Mount: t.Mount, Path: t.Path, Version: now.Version, Source: FromPoll})
}

// changed notes what was seen and reports whether somebody else did it.
func (p *Poller) changed(t Topic, now Seen) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seen[t]
	if s == nil {
		return false
	}
	was := *s
	*s = state{last: now, known: true}
	if !was.known {
		return false
	}
	if was.dirty {
		return now.Version > was.last.Version
	}
	return now != was.last
}
