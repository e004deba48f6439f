package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/mcp/protocol"
)

// The kinds of notices that one replica sends to the others about a session.
const (
	noticeEnded   = "ended"    // it is over
	noticeChanged = "changed"  // the replica with its stream must read it anew
	noticeStream  = "stream"   // another replica has the stream now
	noticeCancel  = "cancel"   // a running request is cancelled
	noticeAnswer  = "response" // the client has answered a request of ours
	noticeDone    = "done"     // the notice with this number has been handled
)

// notice is one of them, sealed with the session's key.
type notice struct {
	Kind   string         `json:"kind"`
	To     string         `json:"to,omitempty"`     // a replica, empty for all
	Number string         `json:"number,omitempty"` // to be answered by noticeDone
	ID     jsontext.Value `json:"id,omitempty"`
	Result jsontext.Value `json:"result,omitempty"`
	Fault  jsontext.Value `json:"fault,omitempty"`
	Cursor string         `json:"cursor,omitempty"` // where the stream of the replica that answers has ended
}

// envelope is a notice as it is sent.
type envelope struct {
	From   string `json:"from"`
	Name   string `json:"name"` // of the session
	Notice []byte `json:"notice"`
}

// doneWithin is how long a replica is waited for that may have died.
const doneWithin = time.Second

func (ss *sessions) publish(ctx context.Context, s *session, w *notice) {
	if !ss.isShared(s) {
		return
	}
	raw, _ := json.Marshal(envelope{ss.self, s.at.Name, s.at.Seal(w)}) // texts and bytes
	_ = ss.shared.Publish(ctx, raw)                                    // Shared logs when it is away
}

// ask publishes a notice, waits until a replica has handled it, and returns the cursor of
// that one; empty for none.
func (ss *sessions) ask(ctx context.Context, s *session, w *notice) (cursor string) {
	w.Number = rand.Text()
	done := make(chan string, 1)
	s.mu.Lock()
	if s.waits == nil {
		s.waits = map[string]chan string{}
	}
	s.waits[w.Number] = done
	s.mu.Unlock()
	ss.publish(ctx, s, w)
	within, cancel := context.WithTimeout(ctx, doneWithin)
	defer cancel()
	select {
	case cursor = <-done:
	case <-within.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waits, w.Number)
	return cursor
}

// Receive takes a message of Shared.Publish. One that cannot be read is ignored.
func (s *Server) Receive(ctx context.Context, message []byte) {
	var m envelope
	if json.Unmarshal(message, &m) != nil || m.From == s.sessions.self {
		return
	}
	sess := s.sessions.named(m.Name)
	if sess == nil {
		return
	}
	var w notice
	if sess.at.Open(m.Notice, &w) && (w.To == "" || w.To == s.sessions.self) {
		s.sessions.handle(ctx, sess, &w)
	}
}

func (ss *sessions) named(name string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[name]
}

func (ss *sessions) handle(ctx context.Context, s *session, w *notice) {
	switch w.Kind {
	case noticeEnded:
		ss.end(s)
	case noticeChanged:
		if data, err := ss.shared.Use(ctx, s.owner, s.at.Name); err == nil && data != nil {
			ss.adopt(s, s.id, s.owner, data)
		}
	case noticeStream:
		s.endStream()
	case noticeCancel:
		s.stop(w.ID)
	case noticeAnswer:
		s.take(&protocol.Message{ID: w.ID, Result: w.Result, Fault: w.Fault})
	case noticeDone:
		s.acknowledge(w)
	}
	if w.Number != "" && w.Kind != noticeDone {
		ss.publish(ctx, s, &notice{Kind: noticeDone, Number: w.Number, Cursor: s.endedAt()})
	}
}

func (s *session) acknowledge(w *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.waits[w.Number]; done != nil {
		delete(s.waits, w.Number)
		done <- w.Cursor // has room for the one
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
