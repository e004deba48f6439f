package edge

import (
	"errors"
	"io"
	"net/http"
	"time"

	"portcullis/gateway/call"
)

// writer remembers what was answered.
type writer struct {
	http.ResponseWriter
	start  time.Time
	status int
	route  string
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

func setRoute(w http.ResponseWriter, pattern string) {
	if ew, ok := w.(*writer); ok {
		ew.route = pattern
	}
}

// body bounds the size of a request's body and the time that it may take. The
// time does not touch what comes behind the body, so it never cuts a stream.
type body struct {
	io.ReadCloser
	rc      *http.ResponseController
	timeout time.Duration
	started bool
}

// drainTimeout is how long the body of a request may take that has been refused:
// net/http reads what is left of a body before it sends the answer.
const drainTimeout = 2 * time.Second

// awaitBody bounds the time in which a body is there, whether anybody reads it or not.
func awaitBody(w http.ResponseWriter, r *http.Request, timeout time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout)) // not every connection has deadlines
	}
}

func newBody(w http.ResponseWriter, r *http.Request, limit int64, timeout time.Duration) *body {
	return &body{ReadCloser: http.MaxBytesReader(w, r.Body, limit), rc: http.NewResponseController(w), timeout: timeout}
}

func (b *body) Read(p []byte) (int, error) {
	if !b.started {
		b.started = true
		_ = b.rc.SetReadDeadline(time.Now().Add(b.timeout)) // not every connection has deadlines
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // after any other error the server drains the rest, which must end as well
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// ReadBody reads the whole body of a request that Handle has bounded. Errors are
// BodyTooLarge and InvalidRequest.
func ReadBody(r *http.Request) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, call.Errorf(call.UnsupportedMediaType, "an encoded body is not accepted")
	}
	raw, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, call.Errorf(call.BodyTooLarge, "the body is too large")
	}
	if err != nil {
		return nil, call.Errorf(call.InvalidRequest, "the body could not be read completely")
	}
	return raw, nil
}
