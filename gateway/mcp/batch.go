package mcp

import (
	"bytes"
	"cmp"
	"context"
	"net/http"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// batched is the one revision that has batches (MCP 2025-03-26, base protocol).
const batched = "2025-03-26"

// serveBatch answers a batch in a session of the revision that has them, and
// reports whether it was one. A batch with anything wrong in its frame is refused as
// a whole, before any of it is done; each request in it is a call like any other.
func (s *Server) serveBatch(w http.ResponseWriter, r *http.Request, c *call.Caller, raw []byte) bool {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("[")) || isModernVersion(r.Header.Get("MCP-Protocol-Version")) {
		return false
	}
	sess, f := s.sessionOf(r, c)
	if f != nil || sess.version != batched {
		return false // what is wrong with it, the frame says
	}
	messages, f := protocol.ParseBatch(raw)
	view, vf := s.viewOf(r)
	if f = cmp.Or(f, vf); f != nil {
		s.refuse(w, r, s.exchange(w, r, c), f)
		return true
	}
	var replies []jsontext.Value
	for i := range messages {
		ex := s.exchange(w, r, c)
		ex.msg, ex.view = &messages[i], view
		ex.join(sess)
		if reply := ex.inBatch(r.Context()); reply != nil {
			replies = append(replies, reply)
		}
	}
	switch {
	case r.Context().Err() != nil: // whoever asked has gone
	case replies == nil:
		w.WriteHeader(http.StatusAccepted)
	default:
		writeJSON(w, http.StatusOK, protocol.MustJSON(replies))
	}
	return true
}

// inBatch answers one message of a batch, with nil when it asks for nothing.
func (ex *Exchange) inBatch(ctx context.Context) jsontext.Value {
	switch {
	case ex.msg.IsResponse():
		ex.server.sessions.deliver(ctx, ex.session, ex.msg)
		return nil
	case ex.msg.IsNotification():
		if ex.msg.Method == "notifications/cancelled" {
			ex.server.sessions.cancel(ctx, ex.session, ex.msg.Params)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, f := ex.session.begin(ex.msg.ID, cancel)
	if f != nil {
		return protocol.EncodeFault(ex.msg.ID, f)
	}
	defer done()
	body, f := ex.answer(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // cancelled: not answered
	case f != nil:
		return protocol.EncodeFault(ex.msg.ID, f)
	}
	return body
}
