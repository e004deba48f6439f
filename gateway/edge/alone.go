package edge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Serve begins a stream with its first text and serves it until serve returns. The context
// ends when the client goes.
//
// Over HTTP/1 it returns at once, and the stream goes on alone: what net/http keeps of a
// request that is being answered, two buffers, its headers and a deep stack, is twice of what
// a stream needs that waits. Its connection ends with it. open counts such streams, for which
// http.Server.Shutdown does not wait.
func (s *EventStream) Serve(r *http.Request, open *sync.WaitGroup, first string, serve func(context.Context)) {
	if r.ProtoMajor == 1 {
		s.w.Header().Set("Connection", "close")
	}
	_, _ = s.Write([]byte(first)) // serve sees that it failed
	end, ok := s.detach(r)        //nolint:contextcheck // the request is over when the stream ends
	if !ok {
		serve(r.Context())
		return
	}
	open.Go(func() { s.alone(end, serve) }) //nolint:contextcheck // net/http ends the context of the request when this returns
}

// detach takes the connection from net/http, where the stream has one of its own. end notes
// the end of the request, with what a panic has said, if there was one.
func (s *EventStream) detach(r *http.Request) (end func(panicked any), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ProtoMajor != 1 || s.err != nil {
		return nil, false
	}
	conn, buffered, err := s.rc.Hijack()
	if err != nil {
		return nil, false // not the server's own writer
	}
	s.conn, s.chunked, s.ahead = conn, r.ProtoAtLeast(1, 1), buffered.Reader.Buffered() > 0
	end = func(any) {}
	if w, ours := s.w.(*writer); ours {
		end = w.detach(r)
	}
	s.w, s.rc = nil, nil
	return end, true
}

// alone serves a stream whose handler has returned. Its frames stay on the stack for as long
// as the stream is open.
func (s *EventStream) alone(end func(any), serve func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer func() { end(recover()) }()
	defer s.close()
	if !s.ahead {
		go s.watch(cancel)
	}
	serve(ctx)
}

// watch ends the context when the client goes. What a client sends instead nobody asked it
// for: it is left where it is, and the next write tells whether the client is there.
func (s *EventStream) watch(gone func()) {
	var one [1]byte
	if n, _ := s.conn.Read(one[:]); n == 0 {
		gone()
	}
}

// close ends the answer and its connection.
func (s *EventStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.chunked {
		_ = s.send([]byte("0\r\n\r\n")) // the client is gone when this fails
	}
	_ = s.conn.Close()
}

// frame is text as a chunk of an answer whose length is not known (RFC 9112, section 7.1).
func (s *EventStream) frame(text []byte) []byte {
	if !s.chunked {
		return text
	}
	b := make([]byte, 0, len(text)+16)
	b = append(strconv.AppendInt(b, int64(len(text)), 16), "\r\n"...)
	return append(append(b, text...), "\r\n"...)
}

// send writes to a connection that is the stream's own; mu is held.
func (s *EventStream) send(b []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// detach is for a request whose connection is taken from net/http and which goes on when its
// handler has returned: it is noted when end is called, and not before.
func (w *writer) detach(r *http.Request) (end func(panicked any)) {
	w.detached = true
	e, id, n := w.edge, w.Header().Get("X-Request-Id"), w.edge.ending(w, r)
	return func(panicked any) {
		if panicked != nil {
			e.panicked(panicked, id)
		}
		n.note(context.Background())
	}
}

// panicked notes a panic in a handler, without what it says: that may be a secret.
func (e *Edge) panicked(v any, requestID string) {
	e.Server.Error("panic in a handler", "type", fmt.Sprintf("%T", v), "request_id", requestID)
}
