package events

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Poller finds changes that were made past the gateway. It looks at the metadata
// of the secrets that somebody has subscribed to, and where a whole subtree is
// subscribed to it lists the names in it and looks at theirs. However many readers
// and topics a secret is covered by, it is looked at once in a round. Callers take
// turns, and each look is made for the caller whose turn it is: one with many topics
// delays its own, and one that may not see a secret hides it from nobody.
type Poller struct {
	Log *Log
	// Look returns what the metadata of a secret says, as one of its subscribers.
	Look func(ctx context.Context, c *call.Caller, t Topic) (Seen, error)
	// List returns the names directly below a topic, as one of its subscribers; a
	// name that ends in a slash has names below it. Without it subtrees are not
	// polled.
	List func(ctx context.Context, c *call.Caller, t Topic) ([]string, error)
	// Every is the time between two looks at one secret, default 5 s.
	Every time.Duration
	// PerSecond caps the looks; with more secrets a round takes longer. Default 25.
	PerSecond int
	// Names caps what is looked at because of subtrees; what is more is not polled.
	// Default 2,000.
	Names int

	mu     sync.Mutex // guards what follows
	seen   map[Topic]*state
	told   bool // something else tells of changes
	rounds int  // begun since told
	wake   chan struct{}
	at     map[Topic]time.Time // of the last look
	news   []arrival           // subscriptions that no look was made for yet
	last   time.Time           // look
}

// ownWait is how long a change that a look has found waits for our own word of it.
const ownWait = 500 * time.Millisecond

// rarely is how much longer a round takes while something else tells of changes.
const rarely = 12

// Rely says whether something else tells of changes at once, as well as it can. While
// it does, rounds are rare; the first one is not, as it finds what was changed before.
func (p *Poller) Rely(told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told, p.rounds = told, 0
	select {
	case p.wake <- struct{}{}:
	default: // it is not waiting
	}
}

// Seen is what the metadata of a secret says.
type Seen struct {
	Version int
	Updated string // time of the last write
	Rest    string // changes with what else there is to see: versions deleted, undeleted, destroyed
}

// state is what is known of a secret or, for a topic that is a subtree, of the
// names directly in it.
type state struct {
	last  Seen
	names map[string]bool
	known bool // last or names were read, or told by our own write
	dirty bool // our own change is not in last yet
	fresh bool // made by our own change, and not reached by a round yet
	heard int  // how many changes were told of
}

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	if p.Every == 0 {
		p.Every = 5 * time.Second
	}
	if p.PerSecond == 0 {
		p.PerSecond = 25
	}
	if p.Names == 0 {
		p.Names = 2000
	}
	p.mu.Lock()
	p.seen, p.at, p.wake = map[Topic]*state{}, map[Topic]time.Time{}, make(chan struct{}, 1)
	p.mu.Unlock()
	p.Log.watch(p.own)
	p.Log.onSubscribe(p.arrive)
	for p.round(ctx) {
	}
}

// begin begins a round and returns how many looks it will have, judged by what the
// last one has found.
func (p *Poller) begin(subscribed int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rounds++
	return min(max(subscribed, len(p.seen), 1), p.most())
}

// step is the pause before each look of a round of n.
func (p *Poller) step(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := p.Every
	if p.told && p.rounds > 1 {
		every *= rarely
	}
	return max(every/time.Duration(n), time.Second/time.Duration(p.PerSecond))
}

// rest is a pause that ends when it is no longer known how long it should be.
func (p *Poller) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(jitter(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.wake:
	case <-t.C:
	}
	return true
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

func (r *Reader) topicsOf() []Topic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.filter.Topics
}

// forget drops what the round has not come to: nobody is subscribed to it any more,
// or it is gone.
func (p *Poller) forget(work map[Topic]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t, s := range p.seen {
		if !work[t] && !s.fresh {
			delete(p.seen, t)
		}
		s.fresh = false
	}
	maps.DeleteFunc(p.at, func(t Topic, _ time.Time) bool { return !work[t] })
}

// own notes a change that is known without looking, so that it is not told twice.
func (p *Poller) own(e Event) {
	if e.Kind != ResourceChanged || e.Source == FromPoll {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := Topic{Mount: e.Mount, Path: e.Path}
	s := p.seen[t]
	if s == nil {
		if !p.within(t) {
			return
		}
		s = &state{fresh: true}
		p.seen[t] = s
	}
	s.last.Version = max(s.last.Version, e.Version)
	s.known, s.dirty = s.known || e.Version > 0, true
	s.heard++
}

// within reports whether a secret lies in a subtree that is looked at. The lock is
// held.
func (p *Poller) within(t Topic) bool {
	if p.seen[Topic{Mount: t.Mount, Below: true}] != nil {
		return true
	}
	return slices.ContainsFunc(t.Path.Ancestors(), func(a string) bool {
		root, err := call.ParsePath(a)
		return err == nil && p.seen[Topic{Mount: t.Mount, Path: root, Below: true}] != nil
	})
}

// secret looks at a secret for a caller, and reports whether it could.
func (r *round) secret(ctx context.Context, c *call.Caller, t Topic) bool {
	heard := r.heard(t)
	now, err := r.Look(ctx, c, t)
	if err != nil {
		return false
	}
	if !r.changed(t, now, heard) {
		return true
	}
	// It may be a change of ours that Vault has made and that is not told of yet.
	time.AfterFunc(ownWait, func() {
		if r.heard(t) == heard {
			r.publish(t, now.Version)
		}
	})
	return true
}

func (p *Poller) publish(t Topic, version int) {
	p.Log.Publish(Event{Kind: ResourceChanged, Mount: t.Mount, Path: t.Path, Version: version, Source: FromPoll})
}

// state is what is known of a topic. The lock is held.
func (p *Poller) state(t Topic) *state {
	s := p.seen[t]
	if s == nil {
		s = &state{}
		p.seen[t] = s
	}
	return s
}

// heard is how many changes of a secret were told of.
func (p *Poller) heard(t Topic) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.seen[t]; s != nil {
		return s.heard
	}
	return 0
}

// changed notes what was seen and reports whether nobody has told of it. A look that
// a change was told of during is not known to be of before or after it: the next one is.
func (p *Poller) changed(t Topic, now Seen, heard int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state(t)
	if s.heard != heard {
		return false
	}
	was := *s
	*s = state{last: now, known: true, heard: heard}
	if !was.known {
		return false
	}
	if was.dirty {
		return now.Version > was.last.Version
	}
	return now != was.last
}

// list looks at the names in a subtree for a caller, and reports whether it could. A
// name that has come is looked at like one of which nothing is there; one that has
// gone is told of.
func (r *round) list(ctx context.Context, of *turn, t Topic) bool {
	if r.List == nil {
		return true
	}
	names, err := r.List(ctx, of.caller, t)
	if err != nil {
		return false
	}
	slices.Sort(names)
	now := map[string]bool{}
	for _, name := range names {
		if child, ok := t.child(name); ok {
			now[name] = true
			r.add(child, of)
		}
	}
	r.sort(of)
	for _, gone := range r.entered(t, now) {
		r.publish(gone, 0)
	}
	return true
}

// child is the topic of a name below a subtree. A name that the gateway does not
// serve, because it was written past it, has none.
func (t Topic) child(name string) (Topic, bool) {
	p, err := call.ParsePath(strings.TrimSuffix(name, "/"))
	return Topic{Mount: t.Mount, Path: t.Path.Join(p), Below: strings.HasSuffix(name, "/")}, err == nil
}

// add puts a name on a caller's list, when there is room for it.
func (r *round) add(t Topic, of *turn) {
	if r.work[t] || r.room == 0 {
		return
	}
	r.room--
	r.work[t] = true
	r.put(of, t)
}

// keep puts what is known below a subtree that was not listed on the list of what is
// not forgotten.
func (r *round) keep(t Topic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for known := range r.seen {
		if known != t && known.Mount == t.Mount && known.Path.Within(t.Path) {
			r.work[known] = true
		}
	}
}

// entered notes the names in a subtree. It returns the secrets that were there and
// are not.
func (p *Poller) entered(t Topic, now map[string]bool) (gone []Topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state(t)
	for name := range now {
		child, _ := t.child(name)
		if s.known && !s.names[name] && p.seen[child] == nil {
			p.state(child).known = true // with nothing there yet
		}
	}
	for name := range s.names {
		if !now[name] {
			gone = append(gone, p.inside(t, name)...)
		}
	}
	for _, g := range gone {
		delete(p.seen, g)
	}
	s.names, s.known = now, true
	return gone
}

// inside are the known secrets that a name in a subtree stands for. The lock is held.
func (p *Poller) inside(t Topic, name string) (out []Topic) {
	child, _ := t.child(name)
	if !child.Below {
		return []Topic{child}
	}
	for known := range p.seen {
		if !known.Below && known.Mount == t.Mount && known.Path != child.Path && known.Path.Within(child.Path) {
			out = append(out, known)
		}
	}
	return out
}
