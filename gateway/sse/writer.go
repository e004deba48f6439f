package sse

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// writer writes a stream. Each write has its own deadline: a reader that does
// not read ends its own stream, and no server timeout cuts one that does.
type writer struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	err     error // of the first write that failed
}

// begin turns a reply into an event stream.
func (s *Server) begin(w http.ResponseWriter) *writer {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &writer{w: w, rc: http.NewResponseController(w), timeout: s.Write}
}

func (w *writer) printf(f string, args ...any) {
	if w.err != nil {
		return
	}
	if err := w.rc.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		w.err = err
		return
	}
	if _, w.err = fmt.Fprintf(w.w, f, args...); w.err == nil {
		w.err = w.rc.Flush()
	}
}
