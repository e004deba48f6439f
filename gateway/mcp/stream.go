package mcp

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// stream is a reply that has become an event stream. Each write has its own
// deadline, so a reader that does not read ends its own stream and nothing else.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	started bool
	mu      sync.Mutex // guards writes
}

func newStream(w http.ResponseWriter, timeout time.Duration) *stream {
	return &stream{w: w, rc: http.NewResponseController(w), timeout: timeout}
}

// start sends the headers.
func (s *stream) start() {
	if s.started {
		return
	}
	s.started = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// message writes one JSON-RPC message.
func (s *stream) message(msg []byte) error { return s.event("", msg) }

// event writes one event of type message; JSON text has no line breaks.
func (s *stream) event(id string, msg []byte) error {
	b := make([]byte, 0, len(msg)+len(id)+32)
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	b = append(b, "event: message\ndata: "...)
	return s.write(append(append(b, msg...), "\n\n"...))
}

// comment writes a line that readers ignore, to keep the connection alive.
func (s *stream) comment() error { return s.write([]byte(": keep-alive\n\n")) }

func (s *stream) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil && !isNotSupported(err) {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.rc.Flush()
}

// end lifts the deadline: the connection may serve another request.
func (s *stream) end() {
	if s.started {
		_ = s.rc.SetWriteDeadline(time.Time{})
	}
}

// isNotSupported reports that a writer has no deadlines, as in tests.
func isNotSupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
