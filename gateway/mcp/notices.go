package mcp

import (
	"context"
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/mcp/protocol"
	"portcullis/gateway/retry"
)

// This file is what replicas tell each other of sessions.

// The kinds of notices that one replica sends to another about a session.
const (
	noticeChanged = "changed"  // it must be read before the answer
	noticeStream  = "stream"   // the one that asks has the stream now
	noticeAnswer  = "response" // the client has answered a request of the one that is told
)

// notice is one of them, sealed with the session's key.
type notice struct {
	Kind   string         `json:"kind"`
	ID     jsontext.Value `json:"id,omitempty"`
	Result jsontext.Value `json:"result,omitempty"`
	Fault  jsontext.Value `json:"fault,omitempty"`
}

// handled is the answer to a notice, sealed as well.
type handled struct {
	Cursor string `json:"cursor,omitempty"` // where the stream of the one that answers has ended
}

// envelope is a notice as it is sent.
type envelope struct {
	Name   string `json:"name"` // of the session
	Notice []byte `json:"notice"`
}

// unknown is the answer of a replica that does not have the session: nothing in it waits there.
const unknown = "unknown session"

// How long a replica is sent a response that it may wait for, until it has it, with waits that
// begin short: it may connect to Redis anew, or Redis be away for a moment.
const (
	answerFor   = 5 * time.Second
	answerFirst = 50 * time.Millisecond
)

// Changed reads a session, by its name in Shared, that another replica has changed.
func (s *Server) Changed(ctx context.Context, name string) {
	if sess := s.sessions.named(name); sess != nil {
		s.sessions.look(ctx, sess)
	}
}

// Missed reads each session in which something is open, and tells Shared of those that it does
// not have.
func (s *Server) Missed(ctx context.Context) {
	for _, sess := range s.sessions.busy() {
		s.sessions.look(ctx, sess)
	}
}

// Answer takes a notice that another replica has asked Shared to send. The answer is nil when it
// is none.
func (s *Server) Answer(ctx context.Context, message []byte) []byte {
	var m envelope
	if json.Unmarshal(message, &m) != nil {
		return nil
	}
	sess := s.sessions.named(m.Name)
	if sess == nil {
		return []byte(unknown)
	}
	var n notice
	if !sess.at.Open(m.Notice, &n) {
		return nil
	}
	h := s.sessions.handle(ctx, sess, &n)
	if h == nil {
		return nil
	}
	return sess.at.Seal(h)
}

func (ss *sessions) named(name string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[name]
}

// busy are the sessions in which something is open.
func (ss *sessions) busy() (out []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byID {
		s.mu.Lock()
		if s.reader != nil || len(s.running) > 0 {
			out = append(out, s)
		}
		s.mu.Unlock()
	}
	return out
}

// lookEvery is how often a session is looked for that Shared cannot be asked for.
const lookEvery = 200 * time.Millisecond

// look makes a session what Shared says, however long that cannot be asked.
func (ss *sessions) look(ctx context.Context, s *session) {
	for {
		data, err := ss.shared.Use(ctx, s.owner, s.at.Name)
		if err == nil {
			ss.saw(s, data)
			return
		}
		if !retry.Sleep(ctx, lookEvery) {
			return
		}
	}
}

// saw makes a session what Shared has said.
func (ss *sessions) saw(s *session, data []byte) {
	if data == nil {
		ss.end(s)
		return
	}
	ss.adopt(s, s.id, s.owner, data)
}

// handle returns nil when it could not.
func (ss *sessions) handle(ctx context.Context, s *session, n *notice) *handled {
	switch n.Kind {
	case noticeChanged:
		data, err := ss.shared.Use(ctx, s.owner, s.at.Name)
		if err != nil {
			return nil
		}
		ss.saw(s, data)
	case noticeStream:
		s.endStream()
	case noticeAnswer:
		s.take(&protocol.Message{ID: n.ID, Result: n.Result, Fault: n.Fault})
	}
	return &handled{s.endedAt()}
}

// tell sends a notice to another replica and returns its answer, nil for none.
func (ss *sessions) tell(ctx context.Context, s *session, replica string, n *notice) (*handled, error) {
	raw, _ := json.Marshal(envelope{s.at.Name, s.at.Seal(n)}) // texts and bytes
	answer, err := ss.shared.Ask(ctx, replica, raw)
	h := &handled{}
	if err != nil || string(answer) != unknown && !s.at.Open(answer, h) {
		return nil, err
	}
	return h, nil
}

// insist sends a notice until the replica has it, whether or not the client waits. Its error is
// *call.Error.
func (ss *sessions) insist(ctx context.Context, s *session, replica string, n *notice) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerFor)
	defer cancel()
	for failures := 1; ; failures++ {
		h, err := ss.tell(ctx, s, replica, n)
		if h != nil {
			return nil
		}
		if !retry.Sleep(ctx, retry.Backoff(failures, answerFirst, answerFor)) {
			return storeAway(err)
		}
	}
}

// endStream ends the open stream, whose place has been taken.
func (s *session) endStream() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		s.stopStream()
		s.letGo()
	}
}

// endedAt is where the last stream has ended, empty while one is open.
func (s *session) endedAt() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		return ""
	}
	return s.cursor
}
