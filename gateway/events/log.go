package events

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Config is what a Log needs. A zero number takes its default.
type Config struct {
	// Allow decides whether the caller may receive the event now. Without it
	// nothing is delivered.
	Allow func(context.Context, *call.Caller, Event) bool
	// Valid reports why a caller's credential is no longer good. Optional.
	Valid func(*call.Caller) error
	// Hold takes a place among the streams of a caller, until release is called. Its
	// error is RateLimited or Overloaded. Without it readers have no bound.
	Hold func(*call.Caller) (release func(), err error)
	// Reserve takes room for one more topic of a caller, until release is called. Its
	// error is RateLimited or Overloaded. Optional.
	Reserve func(*call.Caller) (release func(), err error)
	// Revision names the policy in force; streams end when it changes. Optional.
	Revision func() string

	// Send takes an event to a log that replicas share, which brings it back by Arrive. It
	// waits for nothing; what it returns, unless nil, is closed when the event outlives this
	// process or cannot now. Nil for a log of this process.
	Send func(Event) (sent <-chan struct{})

	Size   int // events kept for replay, default 4096
	Share  int // events of one caller among them, default an eighth, at least 64
	Queue  int // events that wait for one reader before it is cut off, default 256
	Topics int // topics of one reader, default 256
}

func (c Config) orDefault() Config {
	c.Size = cmp.Or(c.Size, 4096)
	c.Share = cmp.Or(c.Share, max(c.Size/8, 64))
	c.Queue = cmp.Or(c.Queue, 256)
	c.Topics = cmp.Or(c.Topics, 256)
	return c
}

// entry is an event in the log.
type entry struct {
	Event
	seq uint64
}

// Log is the bounded log. It is safe for use by many goroutines.
type Log struct {
	Config
	ids ids

	mu       sync.Mutex // guards what follows
	kept     kept
	last     uint64 // newest sequence number, 0 for an empty log
	readers  map[*Reader]struct{}
	exact    map[topicKey]map[*Reader]struct{}
	below    map[topicKey]map[*Reader]struct{}
	owned    map[string]map[*Reader]struct{} // readers by caller that want what concerns the caller alone
	watchers []func(Event)                   // called with each published event
	arrived  func(*call.Caller, []Topic)     // called with each subscription
	closed   bool
}

type topicKey struct{ mount, path string }

// New makes an empty log.
func New(c Config) *Log {
	c = c.orDefault()
	return &Log{
		Config: c, ids: newIDs(randomKey()), kept: newKept(c.Size, c.Share),
		readers: map[*Reader]struct{}{},
		exact:   map[topicKey]map[*Reader]struct{}{}, below: map[topicKey]map[*Reader]struct{}{},
		owned: map[string]map[*Reader]struct{}{},
	}
}

// Record publishes the change that a call made, if it made one. It has the form of the
// pipeline's Publish. It returns when the event outlives this process: a change that was
// acknowledged is published by the other replicas should this one end at once.
func (l *Log) Record(rec *op.Record) {
	e, ok := Of(rec)
	if !ok {
		return
	}
	if sent := l.publish(e); sent != nil {
		<-sent
	}
}

// Publish appends an event and wakes the readers that asked for it. It does not
// wait for any of them.
func (l *Log) Publish(e Event) { l.publish(e) }

func (l *Log) publish(e Event) (sent <-chan struct{}) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	published(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watchers {
		w(e)
	}
	if l.Send != nil {
		return l.Send(e)
	}
	l.append(&entry{Event: e, seq: l.last + 1})
	return nil
}

// Arrive appends an event of the shared log, in its order. Foreign says that another
// replica has published it.
func (l *Log) Arrive(seq uint64, e Event, foreign bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq <= l.last {
		return
	}
	if foreign {
		for _, w := range l.watchers {
			w(e)
		}
	}
	l.append(&entry{Event: e, seq: seq})
}

// Numbered is an event of the shared log.
type Numbered struct {
	Seq uint64
	Event
}

// Restart begins anew, with the shared log that the key belongs to and what that holds: ids
// of before are none any more. Readers end as those that have lost events; lost is the newest
// event that the shared log does not hold any more.
func (l *Log) Restart(key [32]byte, lost uint64, held []Numbered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids, l.kept, l.last = newIDs(key), newKept(l.Size, l.Share), lost
	l.kept.gone = lost
	for _, n := range held {
		l.last = n.Seq
		l.kept.add(&entry{Event: n.Event, seq: n.Seq})
	}
	for r := range l.readers {
		r.end(ErrSlow)
	}
}

// append puts an event at the end, and wakes its readers. The lock is held.
func (l *Log) append(en *entry) {
	e := en.Event
	l.last = en.seq
	l.kept.add(en)
	switch {
	case e.Owner != "":
		l.push(l.owned[e.Owner], en)
		return
	case e.Kind != ResourceChanged:
		l.push(l.readers, en)
		return
	}
	l.push(l.exact[topicKey{e.Mount, e.Path.String()}], en)
	l.push(l.below[topicKey{e.Mount, ""}], en)
	for _, p := range e.Path.Ancestors() {
		l.push(l.below[topicKey{e.Mount, p}], en)
	}
}

// push queues an event with readers. One that does not keep up is looked at no
// more, so that it costs later publishers nothing. The lock is held.
func (l *Log) push(rs map[*Reader]struct{}, e *entry) {
	for r := range rs {
		if r.push(e) {
			l.forget(r)
		}
	}
}

// OnPublish registers a function that sees every event as it is published. It must
// not wait for anything.
func (l *Log) OnPublish(f func(Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(l.watchers, f)
}

// OnSubscribe registers a function that is called with what a caller subscribes to. It must
// not wait for anything.
func (l *Log) OnSubscribe(f func(*call.Caller, []Topic)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived = f
}

// subscribes calls what OnSubscribe has registered. The lock is held.
func (l *Log) subscribes(c *call.Caller, ts []Topic) {
	if l.arrived != nil && len(ts) > 0 {
		l.arrived(c, ts)
	}
}

// Recent returns the newest events that the caller may receive, oldest first.
func (l *Log) Recent(ctx context.Context, c *call.Caller, f Filter, n int) []Event {
	l.mu.Lock()
	var found []*entry
	for _, e := range slices.Backward(l.kept.entries) {
		if f.wants(&e.Event, c) {
			found = append(found, e)
		}
	}
	l.mu.Unlock()
	var out []Event
	for _, e := range found {
		if len(out) == n {
			break
		}
		if l.allows(ctx, c, &e.Event) {
			out = append(out, e.Event)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// allows decides on a delivery. Only events about resources hold a name; the
// others concern nobody but their owner, or everybody.
func (l *Log) allows(ctx context.Context, c *call.Caller, e *Event) bool {
	if e.Kind != ResourceChanged {
		return true
	}
	return l.Allow != nil && l.Allow(ctx, c, *e)
}

// MayReceive decides whether a caller may receive a topic now, as each of its events will
// be decided when it is delivered.
func (l *Log) MayReceive(ctx context.Context, c *call.Caller, t Topic) bool {
	probe := Event{Kind: ResourceChanged, Op: "kv.read", Mount: t.Mount, Path: t.Path}
	if t.Below {
		probe.Op = "kv.list"
	}
	return l.allows(ctx, c, &probe)
}

// Close ends every reader, so that the server can stop.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for r := range l.readers {
		r.end(ErrClosed)
	}
}

// Watch ends the streams of callers whose credential has ended and, when the
// policy has changed, every stream. It returns when ctx ends.
func (l *Log) Watch(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			l.check()
		}
	}
}

func (l *Log) check() {
	l.mu.Lock()
	rs := make([]*Reader, 0, len(l.readers))
	for r := range l.readers {
		rs = append(rs, r)
	}
	l.mu.Unlock()
	for _, r := range rs {
		if err := r.Check(); err != nil {
			r.end(err)
		}
	}
}
