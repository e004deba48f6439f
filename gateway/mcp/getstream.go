package mcp

import (
	"context"
	"errors"
	"net/http"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// serveStream answers GET: the one stream of a legacy session for what the server
// has to say by itself. A new one takes the place of the one before: a client that
// opens it has lost the other, whether or not the gateway has noticed.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	ex := s.exchange(w, r, c)
	sess, f := s.sessionOf(r, c)
	switch {
	case f != nil:
	case s.Events == nil:
		methodNotAllowed(w, "POST, DELETE")
		return
	case !accepts(r, "text/event-stream"):
		f = &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "accept text/event-stream", Status: http.StatusNotAcceptable}
	}
	if f != nil {
		s.refuse(w, r, ex, f)
		return
	}
	ex.msg.Method = "stream"
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var rd *events.Reader
	err := ex.pay(ctx, asEvent, func(context.Context) (err error) {
		s.sessions.streaming(ctx, sess) // first, so that this replica is told of what others add meanwhile
		rd, err = sess.attach(s.Events, c, r.Header.Get("Last-Event-Id"), cancel)
		if err != nil {
			s.sessions.streamed(context.WithoutCancel(ctx), sess)
		}
		return err
	})
	if err != nil {
		s.writeFault(w, nil, streamRefusal(err))
		return
	}
	defer s.sessions.streamed(context.WithoutCancel(ctx), sess)
	defer sess.detach(rd)
	s.sessions.overtaken(sess)
	st := newStream(w, s.Limits.WriteTimeout)
	defer st.End()
	s.pumpSession(ctx, sess, rd, st)
}

// attach makes the session's stream, in the place of an earlier one. Without an id it
// goes on where the last one ended, so nothing is lost between two streams.
func (s *session) attach(l *events.Log, c *call.Caller, after string, stop context.CancelFunc) (*events.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, sessionFault()
	}
	if s.reader != nil {
		s.stopStream()
		s.letGo()
	}
	if after == "" {
		after = s.cursor
	}
	f := s.topics.filter(events.ResourceChanged, events.ToolsChanged, events.PromptsChanged)
	rd, err := l.Subscribe(c, s.id, f, after)
	if err != nil {
		return nil, err
	}
	s.reader, s.stopStream = rd, stop
	return rd, nil
}

// letGo ends the session's reader and remembers how far it came. The lock is held.
func (s *session) letGo() {
	s.cursor = s.reader.Position()
	s.reader.Close()
	s.reader, s.stopStream = nil, nil
}

// detach ends a stream, unless another one has taken its place.
func (s *session) detach(rd *events.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == rd {
		s.letGo()
	}
}

// primed says from which revision on a stream begins with an event that has an id
// and no data (MCP 2025-11-25, transports).
const primed = "2025-11-25"

func (s *Server) pumpSession(ctx context.Context, sess *session, rd *events.Reader, st stream) {
	if s.greet(sess, rd, st) != nil {
		return
	}
	for {
		e, id, err := rd.Next(ctx, s.KeepAlive)
		s.sessions.refresh(ctx, sess)
		switch {
		case err == nil:
			if method, params := sess.noticeOf(e); method != "" {
				err = st.event(id, protocol.Notification(method, params))
			}
		case errors.Is(err, events.ErrIdle):
			err = st.comment()
		case errors.Is(err, events.ErrReloaded):
			_ = st.message(protocol.Notification("notifications/tools/list_changed", map[string]any{}))
			_ = st.message(protocol.Notification("notifications/prompts/list_changed", map[string]any{}))
		}
		if err != nil {
			return
		}
	}
}

// greet begins the stream. When events have been lost, every subscribed resource
// counts as changed.
func (s *Server) greet(sess *session, rd *events.Reader, st stream) error {
	err := st.comment()
	if sess.version >= primed {
		_, err = st.Write([]byte("retry: 3000\nid: " + rd.Position() + "\ndata:\n\n"))
	}
	if err != nil || !rd.Missed() {
		return err
	}
	for _, uri := range sess.uris() {
		if err := st.message(protocol.Notification("notifications/resources/updated", map[string]any{"uri": uri})); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) uris() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for uri := range s.topics {
		out = append(out, uri)
	}
	return out
}
