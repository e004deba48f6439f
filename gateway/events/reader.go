package events

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Why a stream ends or does not begin.
var (
	ErrIdle     = errors.New("nothing happened")        // not an end: the time to keep the connection alive
	ErrSlow     = errors.New("the reader was too slow") // events were lost for it
	ErrEnded    = errors.New("the credential ended")
	ErrReloaded = errors.New("the policy has changed")
	ErrClosed   = errors.New("the log is closed")
)

// Reader is one stream's place in the log. Its methods may be called from any
// goroutine, Next from one at a time.
type Reader struct {
	log      *Log
	caller   *call.Caller
	scope    string // what its ids are bound to beside the caller
	revision string
	ids      ids    // of the log that it reads
	release  func() // lets the place of the stream go; may be called twice

	mu     sync.Mutex // guards what follows; taken after the log's
	filter Filter
	places map[Topic]func() // give back what each topic takes of the caller's
	queue  []*entry
	err    error // why it ended
	missed bool
	pos    uint64        // newest event that was handed out or is not wanted
	wake   chan struct{} // holds one signal
}

// Subscribe adds a reader for the caller. after is an id that an earlier reader
// of the same caller and scope gave out, empty to begin now. When events since
// then are no longer held, or the id is not one, Missed says so.
func (l *Log) Subscribe(c *call.Caller, scope string, f Filter, after string) (*Reader, error) {
	if len(f.Topics) > l.Topics {
		return nil, call.Errorf(call.InvalidRequest, "more than %d topics", l.Topics)
	}
	r := &Reader{log: l, caller: c, scope: scope, filter: f, wake: make(chan struct{}, 1), revision: l.revision(), release: func() {}}
	if err := r.Check(); err != nil {
		return nil, call.Wrap(call.Unauthenticated, "the credential is no longer valid", err)
	}
	if l.Hold != nil {
		release, err := l.Hold(c)
		if err != nil {
			return nil, err
		}
		r.release = release
	}
	err := r.reserve(f.Topics...)
	if err == nil {
		err = l.enter(r, after)
	}
	if err != nil {
		r.release()
		r.giveBack()
		return nil, err
	}
	return r, nil
}

// reserve takes room for topics of a reader. The reader is not shared yet, or its lock
// is held.
func (r *Reader) reserve(ts ...Topic) error {
	if r.log.Reserve == nil {
		return nil
	}
	for _, t := range ts {
		if r.places[t] != nil {
			continue
		}
		release, err := r.log.Reserve(r.caller)
		if err != nil {
			return err
		}
		if r.places == nil {
			r.places = map[Topic]func(){}
		}
		r.places[t] = release
	}
	return nil
}

// giveBack gives back what the topics of a reader take. It is not shared, or its lock
// is held.
func (r *Reader) giveBack() {
	for t, release := range r.places {
		release()
		delete(r.places, t)
	}
}

// enter puts a reader on every way that leads to it.
func (l *Log) enter(r *Reader, after string) error {
	c := r.caller
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return call.Errorf(call.Overloaded, "the gateway is stopping")
	}
	l.readers[r] = struct{}{}
	streams.Inc()
	if len(r.filter.Kinds) == 0 || slices.Contains(r.filter.Kinds, ToolCompleted) {
		add(l.owned, c.Holder(), r)
	}
	for _, t := range r.filter.Topics {
		l.index(r, t)
	}
	l.subscribes(c, r.filter.Topics)
	r.resume(after)
	return nil
}

func (l *Log) revision() string {
	if l.Revision == nil {
		return ""
	}
	return l.Revision()
}

// resume queues what happened since an id. The log's lock is held.
func (r *Reader) resume(after string) {
	l := r.log
	r.pos, r.ids = l.last, l.ids
	if after == "" {
		return
	}
	seq, ok := l.ids.open(after, r.caller.Key(), r.scope)
	if ok && seq > l.last && l.Send != nil { // another replica is ahead of this one
		r.pos = seq
		return
	}
	if !ok || seq > l.last || l.kept.lost(seq, &r.filter, r.caller) {
		r.missed = true
		return
	}
	for _, e := range l.kept.since(seq) {
		if r.filter.wants(&e.Event, r.caller) {
			r.queue = append(r.queue, e)
		}
	}
	r.signal()
}

// wants reports whether an event passes the filter and concerns the caller.
func (f *Filter) wants(e *Event, c *call.Caller) bool {
	if e.Owner != "" && e.Owner != c.Holder() {
		return false
	}
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) {
		return false
	}
	if e.Kind != ResourceChanged {
		return true
	}
	return slices.ContainsFunc(f.Topics, func(t Topic) bool { return t.covers(e) })
}

// push queues an event and reports whether the reader was too slow for it and has
// been cut off. The log's lock is held; nothing here waits.
func (r *Reader) push(e *entry) (cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || e.seq <= r.pos || !r.filter.wants(&e.Event, r.caller) {
		return false
	}
	if n := len(r.queue); n > 0 && r.queue[n-1].seq == e.seq {
		return false // two topics of the reader cover the event
	}
	if len(r.queue) >= r.log.Queue {
		r.stop(ErrSlow)
		cutOff.Inc()
		return true
	}
	r.queue = append(r.queue, e)
	r.signal()
	return false
}

func (r *Reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// stop ends the reader. The reader's lock is held.
func (r *Reader) stop(err error) {
	if r.err == nil {
		r.err, r.queue = err, nil
	}
	r.signal()
}

func (r *Reader) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(err)
}

// Next returns the next event that the caller may receive, which others share, and its id.
// It waits at most for idle and then returns ErrIdle; any other error is the stream's end.
//
// Most goroutines of a gateway wait here, and a stack keeps the size that it once needed
// for as long as more than a quarter of it is used: whatever leads here uses little.
func (r *Reader) Next(ctx context.Context, idle time.Duration) (*Event, string, error) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		if e, id, err := r.take(ctx); e != nil || err != nil {
			return e, id, err
		}
		if err := r.wait(ctx, timer); err != nil {
			return nil, "", err
		}
	}
}

// take takes the first queued event that the caller may receive, nil when there is none.
func (r *Reader) take(ctx context.Context) (*Event, string, error) {
	for {
		e, err := r.pop()
		if e == nil || err != nil {
			return nil, "", err
		}
		if r.log.allows(ctx, r.caller, &e.Event) {
			return &e.Event, r.ids.seal(e.seq, r.caller.Key(), r.scope), nil
		}
	}
}

// wait waits for a signal. Its error is that of Next.
func (r *Reader) wait(ctx context.Context, idle *time.Timer) error {
	select {
	case <-r.wake:
		return nil
	case <-idle.C:
		return r.idle()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reader) idle() error {
	if err := r.Check(); err != nil {
		return err
	}
	return ErrIdle
}

// pop takes the first queued event, nil when there is none. Nothing leaves after
// the credential has ended or the policy has changed.
func (r *Reader) pop() (*entry, error) {
	r.mu.Lock()
	waiting := len(r.queue) > 0
	r.mu.Unlock()
	if waiting {
		if err := r.Check(); err != nil {
			r.end(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	if len(r.queue) == 0 {
		return nil, nil
	}
	e := r.queue[0]
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	r.pos = e.seq
	return e, nil
}

// Check reports why the stream must end, nil when it may go on.
func (r *Reader) Check() error {
	if end := r.caller.Expires; !end.IsZero() && !time.Now().Before(end) {
		return ErrEnded
	}
	if r.log.Valid != nil && r.log.Valid(r.caller) != nil {
		return ErrEnded
	}
	if r.log.revision() != r.revision {
		return ErrReloaded
	}
	return nil
}

// Missed reports whether events before the first one are lost to this reader.
func (r *Reader) Missed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missed
}

// Position is an id for everything that has been handed out so far.
func (r *Reader) Position() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids.seal(r.pos, r.caller.Key(), r.scope)
}

// Now is an id for everything that has happened so far, for a stream that the
// caller will open later.
func (l *Log) Now(c *call.Caller, scope string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids.seal(l.last, c.Key(), scope)
}

// Add adds one more topic to the reader, within its cap.
func (r *Reader) Add(t Topic) bool {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, open := l.readers[r]; !open || slices.Contains(r.filter.Topics, t) {
		return open
	}
	if len(r.filter.Topics) >= l.Topics || r.reserve(t) != nil {
		return false
	}
	r.filter.Topics = append(slices.Clip(r.filter.Topics), t)
	l.index(r, t)
	l.subscribes(r.caller, []Topic{t})
	return true
}

// Remove removes a topic from the reader.
func (r *Reader) Remove(t Topic) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.filter.Topics, t)
	if _, open := l.readers[r]; !open || i < 0 {
		return
	}
	r.filter.Topics = slices.Delete(slices.Clone(r.filter.Topics), i, i+1)
	if release := r.places[t]; release != nil {
		release()
		delete(r.places, t)
	}
	l.unindex(r, t)
}

// Close gives the reader's place back.
func (r *Reader) Close() {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.readers[r]; !open {
		return
	}
	delete(l.readers, r)
	l.forget(r)
	r.release()
	streams.Dec()
	r.end(ErrClosed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveBack()
}

// forget takes a reader off every way that leads to it. The log's lock is held.
func (l *Log) forget(r *Reader) {
	drop(l.owned, r.caller.Holder(), r)
	for _, t := range r.topicsOf() {
		l.unindex(r, t)
	}
}

// index and unindex keep the way from a resource to its readers. The log's lock
// is held.
func (l *Log) index(r *Reader, t Topic) { add(l.topics(t), topicKey{t.Mount, t.Path.String()}, r) }

func (l *Log) unindex(r *Reader, t Topic) { drop(l.topics(t), topicKey{t.Mount, t.Path.String()}, r) }

func (l *Log) topics(t Topic) map[topicKey]map[*Reader]struct{} {
	if t.Below {
		return l.below
	}
	return l.exact
}

func add[K comparable](m map[K]map[*Reader]struct{}, k K, r *Reader) {
	if m[k] == nil {
		m[k] = map[*Reader]struct{}{}
	}
	m[k][r] = struct{}{}
}

func drop[K comparable](m map[K]map[*Reader]struct{}, k K, r *Reader) {
	delete(m[k], r)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}
