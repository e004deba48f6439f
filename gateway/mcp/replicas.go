package mcp

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/retry"
)

// This file keeps the sessions of this replica the same as those of the others.

// attempts bounds how often a change begins anew because another replica was faster.
const attempts = 8

// isShared reports whether other replicas know the session: one on stdio is nobody's.
func (ss *sessions) isShared(s *session) bool { return ss.shared != nil && s.id != "" }

// find returns the caller's session, which another replica may have begun, nil for none.
// While Shared is away a session is as this replica knows it; the error is about one that
// only others may know.
func (ss *sessions) find(ctx context.Context, id string, c *call.Caller) (*session, error) {
	s := ss.get(id, c)
	if ss.shared == nil {
		return s, nil
	}
	data, err := ss.shared.Use(ctx, c.Key(), sealedBy(id).Name)
	switch {
	case err != nil && s == nil:
		return nil, storeAway(err)
	case err != nil:
		return s, nil //nolint:nilerr // this replica knows the session, and Health says that Shared is away
	case data != nil:
		return ss.adopt(s, id, c.Key(), data), nil
	case s != nil:
		ss.end(s)
	}
	return nil, nil
}

func storeAway(err error) *call.Error {
	return call.StoreAway("the session cannot be reached now; try again later", err)
}

// adopt makes the session of this replica, nil for none, what data say, and returns it. Of
// another policy there is none.
func (ss *sessions) adopt(s *session, id, owner string, data []byte) *session {
	if s != nil && bytes.Equal(s.known(), data) {
		return s
	}
	var r record
	if !sealedBy(id).Open(data, &r) || r.Revision != ss.revision() {
		return nil
	}
	if s == nil {
		if s = ss.enter(r.session(id, owner), time.Now()); s == nil {
			return nil
		}
	}
	ss.follow(s, &r, data)
	return s
}

// known are the data that the session was last seen in, nil when Shared never had them.
func (s *session) known() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared
}

// follow makes a session what a record says, unless it knows a later one.
func (ss *sessions) follow(s *session, r *record, data []byte) {
	want := r.topics()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || r.N < s.changes {
		return
	}
	s.stopCancelled(r)
	s.shared, s.logLevel, s.streams, s.changes = data, r.Level, r.Stream, r.N
	if s.reader == nil && r.Stream == "" && r.Cursor != "" { // while there is a stream, it is from before that
		s.cursor = r.Cursor
	}
	if s.reader != nil && s.claimed && r.Stream != ss.self {
		s.stopStream()
		s.letGo()
	}
	for uri := range s.topics {
		if _, stays := want[uri]; !stays {
			s.leave(uri)
		}
	}
	for uri, t := range want {
		if _, has := s.topics[uri]; has {
			continue
		}
		// What does not fit into the caller's share here is not heard of here.
		if release, err := ss.keeper.keep(s.owner, subscription(uri), budget.Subscriptions); err == nil {
			s.add(uri, t, release)
		}
	}
}

// stopCancelled stops what the client has cancelled since the session was read. The lock is held.
func (s *session) stopCancelled(r *record) {
	for _, c := range r.Cancelled {
		if c.N <= s.changes {
			continue
		}
		for id, stop := range s.running {
			if idOf(id) == c.ID {
				stop()
			}
		}
	}
}

// beginFor is how long a new session waits for Shared to have it.
const beginFor = time.Second

// begin tells Shared of a new session, which no client knows of before. Its error is *call.Error,
// and then the session is none: other replicas would not know it.
func (ss *sessions) begin(ctx context.Context, s *session) error {
	if !ss.isShared(s) {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, beginFor)
	defer cancel()
	s.mu.Lock()
	data := s.at.Seal(s.record())
	s.mu.Unlock()
	for {
		err := ss.save(context.WithoutCancel(ctx), s, data)
		if err == nil {
			return nil
		}
		if refused := new(call.Error); errors.As(err, &refused) || !retry.Sleep(within, lookEvery) {
			ss.end(s)
			_ = ss.shared.Drop(context.WithoutCancel(ctx), s.owner, s.at.Name) // else it ends unused
			return call.StoreAway("the session cannot be begun now; try again later", err)
		}
	}
}

// save keeps a new session in Shared, which may have it from an attempt whose answer was lost.
func (ss *sessions) save(ctx context.Context, s *session, data []byte) error {
	done, err := ss.shared.Swap(ctx, s.owner, s.at.Name, nil, data)
	if err == nil && !done {
		var there []byte
		if there, err = ss.shared.Use(ctx, s.owner, s.at.Name); err == nil && !bytes.Equal(there, data) {
			err = errNotKept
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = data
	return nil
}

var errNotKept = errors.New("the shared store does not keep the session")

// change changes a session for all replicas. Its error is *call.Error.
func (ss *sessions) change(ctx context.Context, s *session, f func(*record)) error {
	if !ss.isShared(s) {
		return nil
	}
	for range attempts {
		data, err := ss.shared.Use(ctx, s.owner, s.at.Name)
		if err != nil {
			return storeAway(err)
		}
		var r record
		if !s.at.Open(data, &r) {
			return storeAway(nil) // it has ended meanwhile; the next request hears of it
		}
		r.N++
		f(&r)
		next := s.at.Seal(r)
		ok, err := ss.shared.Swap(ctx, s.owner, s.at.Name, data, next)
		if err != nil {
			return storeAway(err)
		}
		if ok {
			ss.follow(s, &r, next)
			return nil
		}
	}
	return storeAway(nil)
}

// over ends a session at every replica.
func (ss *sessions) over(ctx context.Context, s *session) error {
	if ss.isShared(s) {
		if err := ss.shared.Drop(ctx, s.owner, s.at.Name); err != nil {
			return storeAway(err)
		}
	}
	ss.end(s)
	return nil
}

// streaming notes that this replica has the session's stream, and ends that of another. A
// stream without an id goes on where that one has ended.
func (ss *sessions) streaming(ctx context.Context, s *session) {
	if !ss.isShared(s) {
		return
	}
	before := ""
	err := ss.change(ctx, s, func(r *record) { before, r.Stream = r.Stream, ss.self })
	s.mu.Lock()
	s.claimed = err == nil
	s.mu.Unlock()
	if err != nil || before == "" || before == ss.self {
		return
	}
	if h, _ := ss.tell(ctx, s, before, &notice{Kind: noticeStream}); h != nil && h.Cursor != "" { // else the stream begins earlier
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cursor = h.Cursor
	}
}

// overtaken ends the stream of this replica when another one has begun while it did.
func (ss *sessions) overtaken(s *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil && s.claimed && s.streams != ss.self {
		s.stopStream()
		s.letGo()
	}
}

// streamed notes where the stream of this replica has ended.
func (ss *sessions) streamed(ctx context.Context, s *session) {
	if !ss.isShared(s) {
		return
	}
	s.mu.Lock()
	at, open := s.cursor, s.reader != nil
	s.mu.Unlock()
	if open {
		return // another one has taken its place here
	}
	_ = ss.change(ctx, s, func(r *record) { // without it the next stream begins earlier
		if r.Stream == ss.self {
			r.Stream, r.Cursor = "", at
		}
	})
}

// refreshEvery is how often a session with an open stream is looked after: it is used,
// whatever else happens in it.
const refreshEvery = time.Minute

// refresh notes that a session is used, and learns what this replica has missed of it.
func (ss *sessions) refresh(ctx context.Context, s *session) {
	if !ss.isShared(s) || !s.due(time.Now()) {
		return
	}
	if data, err := ss.shared.Use(ctx, s.owner, s.at.Name); err == nil {
		ss.saw(s, data)
	}
}

func (s *session) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.refreshed) < refreshEvery {
		return false
	}
	s.refreshed = now
	return true
}

// changeTopics changes the subscriptions of a session, and waits until the replica that has
// its stream knows: what happens after the answer is reported. A stream that cannot be told is
// over: the next one begins where its client says, with all subscriptions.
func (ss *sessions) changeTopics(ctx context.Context, s *session, f func(*record)) error {
	if err := ss.change(ctx, s, f); err != nil {
		return err
	}
	s.mu.Lock()
	at := s.streams
	s.mu.Unlock()
	if !ss.isShared(s) || at == "" || at == ss.self {
		return nil
	}
	if h, _ := ss.tell(ctx, s, at, &notice{Kind: noticeChanged}); h != nil {
		return nil
	}
	return ss.change(ctx, s, func(r *record) {
		if r.Stream == at {
			r.Stream = ""
		}
	})
}

func (r *record) add(uri string, t events.Topic) {
	r.remove(uri)
	r.Topics = append(r.Topics, sharedTopic{uri, t.Mount, t.Path.String(), t.Below})
}

func (r *record) remove(uri string) {
	r.Topics = slices.DeleteFunc(r.Topics, func(t sharedTopic) bool { return t.URI == uri })
}

// cancel notes that a request is cancelled.
func (r *record) cancel(id jsontext.Value) {
	r.Cancelled = append(r.Cancelled, cancelled{idOf(string(id)), r.N})
	r.Cancelled = r.Cancelled[max(0, len(r.Cancelled)-mostCancelled):]
}
