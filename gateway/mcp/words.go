package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/mcp/protocol"
)

// What one replica says to the others about a session.
const (
	wordEnded   = "ended"    // it is over
	wordChanged = "changed"  // who has its stream must hear of something else
	wordStream  = "stream"   // another replica has the stream now
	wordCancel  = "cancel"   // a running request is cancelled
	wordAnswer  = "response" // the client has answered a request of ours
	wordDone    = "done"     // a word with this number has been followed
)

// word is what is said, sealed with the session's key.
type word struct {
	Kind   string         `json:"kind"`
	To     string         `json:"to,omitempty"`     // a replica, empty for all
	Number string         `json:"number,omitempty"` // to be answered by wordDone
	ID     jsontext.Value `json:"id,omitempty"`
	Result jsontext.Value `json:"result,omitempty"`
	Fault  jsontext.Value `json:"fault,omitempty"`
	Cursor string         `json:"cursor,omitempty"` // where the stream of who answers has ended
}

// spoken is a word as it is sent.
type spoken struct {
	From string `json:"from"`
	Name string `json:"name"` // of the session
	Word []byte `json:"word"`
}

// doneWithin is how long a replica is waited for that may have died.
const doneWithin = time.Second

func (ss *sessions) say(ctx context.Context, s *session, w *word) {
	if !ss.isShared(s) {
		return
	}
	raw, _ := json.Marshal(spoken{ss.self, s.at.name, s.at.seal(w)}) // texts and bytes
	_ = ss.shared.Say(ctx, raw)                                      // Shared says when it is away
}

// ask says something, waits until it has been followed, and returns the cursor of whoever
// did; empty for none.
func (ss *sessions) ask(ctx context.Context, s *session, w *word) (cursor string) {
	w.Number = rand.Text()
	done := make(chan string, 1)
	s.mu.Lock()
	if s.waits == nil {
		s.waits = map[string]chan string{}
	}
	s.waits[w.Number] = done
	s.mu.Unlock()
	ss.say(ctx, s, w)
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

// Hear takes a message of Shared.Say. What cannot be read is nobody's.
func (s *Server) Hear(ctx context.Context, message []byte) {
	var m spoken
	if json.Unmarshal(message, &m) != nil || m.From == s.sessions.self {
		return
	}
	sess := s.sessions.named(m.Name)
	if sess == nil {
		return
	}
	var w word
	if sess.at.open(m.Word, &w) && (w.To == "" || w.To == s.sessions.self) {
		s.sessions.heard(ctx, sess, &w)
	}
}

func (ss *sessions) named(name string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byName[name]
}

func (ss *sessions) heard(ctx context.Context, s *session, w *word) {
	switch w.Kind {
	case wordEnded:
		ss.end(s)
	case wordChanged:
		if data, err := ss.shared.Use(ctx, s.owner, s.at.name); err == nil && data != nil {
			ss.adopt(s, s.id, s.owner, data)
		}
	case wordStream:
		s.endStream()
	case wordCancel:
		s.stop(w.ID)
	case wordAnswer:
		s.take(&protocol.Message{ID: w.ID, Result: w.Result, Fault: w.Fault})
	case wordDone:
		s.followed(w)
	}
	if w.Number != "" && w.Kind != wordDone {
		ss.say(ctx, s, &word{Kind: wordDone, Number: w.Number, Cursor: s.endedAt()})
	}
}

func (s *session) followed(w *word) {
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
