package edge

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// EventStream is a reply that becomes a stream of server-sent events (the WHATWG HTML
// specification, section 9.2) with the first thing written to it. Each write has a deadline
// of its own: a reader that does not read ends its own stream, and no timeout of the server
// cuts one that does. Its methods may be called by several goroutines.
type EventStream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration

	mu      sync.Mutex // guards the rest, and writes
	started bool
	err     error // of the first write that failed; nothing is written after it

	// A stream that goes on alone has a connection, and no writer.
	conn    net.Conn
	chunked bool
	ahead   bool // the client has sent something behind its request
}

// NewEventStream touches nothing yet: until the first write the reply can be another. The
// timeout is that of one write.
func NewEventStream(w http.ResponseWriter, timeout time.Duration) *EventStream {
	return &EventStream{w: w, rc: http.NewResponseController(w), timeout: timeout}
}

// Write sends text of whole events and flushes it. The error is that of the first write
// that failed.
func (s *EventStream) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.write(text)
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(text), nil
}

// write sends text; mu is held.
func (s *EventStream) write(text []byte) error {
	if s.conn != nil {
		return s.send(s.frame(text))
	}
	if !s.started {
		s.started = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
	}
	// A writer of a test may have no deadlines.
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}

// Err is the error of the first write that failed.
func (s *EventStream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Started reports whether the reply has become a stream.
func (s *EventStream) Started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// End lifts the deadline: the connection may serve another request.
func (s *EventStream) End() {
	if s.Started() {
		_ = s.rc.SetWriteDeadline(time.Time{}) // a connection that cannot has none
	}
}
