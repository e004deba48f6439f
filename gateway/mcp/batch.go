package mcp

import (
	"bytes"
	"cmp"
	"context"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// batched is the one revision that has batches (MCP 2025-03-26, base protocol).
const batched = "2025-03-26"

// maxBatch bounds the messages of a batch.
const maxBatch = 50

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
	messages, f := parseBatch(raw)
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
		writeJSON(w, http.StatusOK, mustJSON(replies))
	}
	return true
}

// parseBatch reads the messages of a batch. Its requests have ids of their own.
func parseBatch(raw []byte) ([]message, *Fault) {
	if op.CheckJSON(raw) != nil {
		return nil, badRequest(CodeParse, "parse error: not one strict JSON value")
	}
	var list []jsontext.Value
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxBatch {
		return nil, badRequest(CodeInvalidRequest, "a batch has 1 to 50 messages")
	}
	out := make([]message, len(list))
	ids := map[string]bool{}
	for i, item := range list {
		m, f := parse(item)
		request := f == nil && !m.isResponse() && !m.isNotification()
		if f != nil || m.method == "initialize" || request && ids[string(m.id)] {
			return nil, badRequest(CodeInvalidRequest, "a message of the batch is not one, or an id is there twice")
		}
		ids[string(m.id)] = ids[string(m.id)] || request
		out[i] = m
	}
	return out, nil
}

// inBatch answers one message of a batch, with nil when it asks for nothing.
func (ex *Exchange) inBatch(ctx context.Context) jsontext.Value {
	switch {
	case ex.msg.isResponse():
		ex.session.deliver(ex.msg)
		return nil
	case ex.msg.isNotification():
		if ex.msg.method == "notifications/cancelled" {
			ex.session.cancel(ex.msg.params)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, f := ex.session.begin(ex.msg.id, cancel)
	if f != nil {
		return encodeFault(ex.msg.id, f)
	}
	defer done()
	body, f := ex.answer(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // cancelled: not answered
	case f != nil:
		return encodeFault(ex.msg.id, f)
	}
	return body
}
