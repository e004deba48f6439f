package mcp

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/call/sealed"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// session is what a legacy client agreed on in initialize. It holds no right:
// every request in it is decided by itself. Only its own caller may use it, and only
// as long as the policy is the one that it began under: what the client was told of
// tools and resources holds no longer than that, so it begins anew.
type session struct {
	id           string
	owner        string // call.Caller.Key
	revision     string // of the policy
	version      string
	capabilities protocol.Capabilities
	client       op.Client // as it named itself in initialize

	mu         sync.Mutex // guards what follows
	ended      bool       // nothing new begins in it
	used       time.Time
	logLevel   string
	running    map[string]context.CancelFunc     // requests in flight by id
	asked      map[string]chan *protocol.Message // our requests that wait for a response
	topics     topics
	reader     *events.Reader     // of the open stream, nil when there is none
	cursor     string             // where the last stream ended
	stopStream context.CancelFunc // ends the open stream
	kept       func()             // gives back what the session holds of its caller's share
	holds      map[string]func()  // the same of each subscription

	at        sealed.Box // its place in Shared; never changes
	shared    []byte     // as Shared has it, nil when it does not
	streams   string     // replica that has the open stream
	claimed   bool       // the stream of this replica was that one when it began
	refreshed time.Time  // when Shared was told last that it is used
	changes   int64      // how often Shared's had been changed when it was read
}

// sessions are the open sessions of all callers.
type sessions struct {
	limits   Limits
	revision func() string // of the policy in force
	keeper   keeper
	shared   *Shared // nil for sessions of this process
	self     string  // this replica's name, of this run

	mu      sync.Mutex // guards what follows
	byID    map[string]*session
	byName  map[string]*session // the same by their names in Shared
	byOwner map[string]map[*session]bool
	swept   time.Time

	sweptFor string // revision of the policy
}

// open starts a session. A caller at its cap loses its least recently used one;
// when all places are taken, nobody gets a new one.
func (ss *sessions) open(s *session, now time.Time) bool {
	s.id, s.revision = rand.Text()+rand.Text(), ss.revision()
	return ss.enter(s, now) != nil
}

// enter adds a session to those of this replica and returns it, or the one that is there
// under its id; nil when there is no place.
func (ss *sessions) enter(s *session, now time.Time) *session {
	s.used, s.running, s.asked = now, map[string]context.CancelFunc{}, map[string]chan *protocol.Message{}
	s.at, s.refreshed = sealedBy(s.id), now
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.sweep(now)
	if there := ss.byID[s.id]; there != nil {
		return there
	}
	if own := ss.byOwner[s.owner]; len(own) >= ss.limits.SessionsPerCaller {
		ss.remove(oldest(own))
	}
	if len(ss.byID) >= ss.limits.Sessions || !ss.makeRoom(s) {
		return nil
	}
	if ss.byID == nil {
		ss.byID, ss.byName, ss.byOwner = map[string]*session{}, map[string]*session{}, map[string]map[*session]bool{}
	}
	if ss.byOwner[s.owner] == nil {
		ss.byOwner[s.owner] = map[*session]bool{}
	}
	ss.byID[s.id], ss.byName[s.at.Name], ss.byOwner[s.owner][s] = s, s, true
	openSessions.Inc()
	return s
}

// makeRoom takes from the caller's share what a session holds. The caller's own least
// recently used sessions make room. The lock is held.
func (ss *sessions) makeRoom(s *session) bool {
	for {
		release, err := ss.keeper.keep(s.owner, sessionBytes+s.capabilities.Size(), budget.Sessions)
		if err == nil {
			s.kept, s.holds = release, map[string]func(){}
			return true
		}
		own := ss.byOwner[s.owner]
		if err.Code != call.RateLimited || len(own) == 0 {
			return false
		}
		ss.remove(oldest(own))
	}
}

func oldest(own map[*session]bool) *session {
	var old *session
	for s := range own {
		if old == nil || s.lastUse().Before(old.lastUse()) {
			old = s
		}
	}
	return old
}

// sweep ends idle sessions and those of an earlier policy, at most once a minute
// and once for each policy. The lock is held.
func (ss *sessions) sweep(now time.Time) {
	revision := ss.revision()
	if now.Sub(ss.swept) < time.Minute && ss.sweptFor == revision {
		return
	}
	ss.swept, ss.sweptFor = now, revision
	for _, s := range ss.byID {
		switch {
		case s.revision != revision:
			ss.drop(s)
		case s.idle(now, ss.limits.SessionIdle):
			ss.remove(s)
		}
	}
}

// get returns the caller's session, nil when it is unknown, over, of an earlier
// policy, or somebody else's: they all look the same.
func (ss *sessions) get(id string, c *call.Caller) *session {
	now := time.Now()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byID[id]
	if s == nil || s.owner != c.Key() {
		return nil
	}
	if s.revision != ss.revision() {
		ss.drop(s)
		return nil
	}
	if s.idle(now, ss.limits.SessionIdle) {
		ss.remove(s)
		return nil
	}
	s.touch(now)
	return s
}

// end ends a session and everything that runs in it.
func (ss *sessions) end(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byID[s.id] == s {
		ss.remove(s)
	}
}

// drop forgets a session. What has been decided and runs may finish; the event log
// ends the stream. The lock is held.
func (ss *sessions) drop(s *session) {
	s.mu.Lock()
	s.ended = true // also for those who have found it just now
	s.release()
	s.mu.Unlock()
	delete(ss.byID, s.id)
	delete(ss.byName, s.at.Name)
	openSessions.Dec()
	delete(ss.byOwner[s.owner], s)
	if len(ss.byOwner[s.owner]) == 0 {
		delete(ss.byOwner, s.owner)
	}
}

// end ends a session that is in no table, as that of a connection on stdio.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.release()
}

// release gives back what is kept of the session, and lets those go on who wait for the
// client's answer: none can come. The lock is held.
func (s *session) release() {
	for id, answer := range s.asked {
		close(answer)
		delete(s.asked, id)
	}
	s.kept()
	for _, release := range s.holds {
		release()
	}
	clear(s.holds)
}

// remove forgets a session and ends what runs in it. The lock is held.
func (ss *sessions) remove(s *session) {
	ss.drop(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopStream != nil {
		s.stopStream()
	}
	for _, cancel := range s.running {
		cancel()
	}
}

func (s *session) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *session) touch(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
}

// idle reports whether nothing has happened in the session for too long.
func (s *session) idle(now time.Time, limit time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running) == 0 && s.reader == nil && now.Sub(s.used) > limit
}

// begin registers a request, so that it can be cancelled. Its id must not be in use.
func (s *session) begin(id jsontext.Value, cancel context.CancelFunc) (done func(), f *protocol.Fault) {
	key := string(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, sessionFault()
	}
	if s.running[key] != nil {
		return nil, protocol.BadRequest(protocol.CodeInvalidRequest, "a request with this id is still running")
	}
	s.running[key] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, key)
		s.used = time.Now()
	}, nil
}

// cancel stops a running request (notifications/cancelled), wherever it runs. Its error is
// *call.Error: another replica may not have been told. Pay is asked before one is.
func (ss *sessions) cancel(ctx context.Context, s *session, params protocol.Object, pay func() error) error {
	r := protocol.Reader{O: params}
	id := r.Value("requestId")
	if id == nil || s.stop(id) || !ss.isShared(s) {
		return nil
	}
	if err := pay(); err != nil {
		return err
	}
	return ss.change(context.WithoutCancel(ctx), s, func(r *record) { r.cancel(id) })
}

// stop stops a request that runs here, and reports whether one does.
func (s *session) stop(id jsontext.Value) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := s.running[string(id)]
	if stop != nil {
		stop()
	}
	return stop != nil
}

// deliver hands a client's response to the exchange that asked for it, here or at another
// replica. Its error is *call.Error: that one may still wait for it. Pay is asked before one is
// told.
func (ss *sessions) deliver(ctx context.Context, s *session, m *protocol.Message, pay func() error) error {
	if s.take(m) || !ss.isShared(s) {
		return nil
	}
	asker, ok := askerOf(m.ID)
	if !ok || asker == ss.self {
		return nil
	}
	if err := pay(); err != nil {
		return err
	}
	return ss.insist(ctx, s, asker, &notice{Kind: noticeAnswer, ID: m.ID, Result: m.Result, Fault: m.Fault})
}

// take hands a response to the exchange that asked here, and reports whether one did.
func (s *session) take(m *protocol.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.asked[string(m.ID)]
	if ch == nil {
		return false
	}
	delete(s.asked, string(m.ID))
	ch <- m // has room for the one response
	return true
}

// sessionFault is the answer to a session id that cannot be used.
func sessionFault() *protocol.Fault {
	return &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "unknown session", Status: http.StatusNotFound}
}
