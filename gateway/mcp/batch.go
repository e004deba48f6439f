package mcp

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"sync"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
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
	var handed handing
	for i := range messages {
		ex := s.exchange(w, r, c)
		ex.msg, ex.view = &messages[i], view
		ex.join(sess)
		handed.on(ex.msg, func() error { return ex.pass(r.Context(), sess) }) //nolint:contextcheck // it is the context of the request
		if reply := ex.inBatch(r.Context()); reply != nil {
			replies = append(replies, reply)
		}
	}
	if lost := handed.wait(); lost != nil {
		replies = append(replies, protocol.EncodeFault(nil, streamFault(call.AsError(lost))))
	}
	if s.Withdrawn != nil {
		if err := s.Withdrawn(c); err != nil { // what was answered before that stays here
			s.refuse(w, r, s.exchange(w, r, c), protocol.Answer{}.Fault(call.AsError(err)))
			return true
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

// handing hands on what a batch has for others. The client's answers go beside each other:
// one that does not arrive is tried for seconds, and neither keeps the others back nor adds
// to what they take.
type handing struct {
	wg   sync.WaitGroup
	mu   sync.Mutex // guards lost
	lost error
}

func (h *handing) on(m *protocol.Message, pass func() error) {
	try := func() {
		if err := pass(); err != nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.lost = err
		}
	}
	if m.IsResponse() {
		h.wg.Go(try)
		return
	}
	try() // a cancellation is of what came before it, and not of what follows
}

// wait returns an error of what may not have come there.
func (h *handing) wait() error {
	h.wg.Wait()
	return h.lost
}

// inBatch answers one message of a batch, with nil when it asks for nothing.
func (ex *Exchange) inBatch(ctx context.Context) jsontext.Value {
	if ex.msg.IsResponse() || ex.msg.IsNotification() {
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

// pass hands a response or a cancellation to what runs in a session, here or at another
// replica; any other message is nobody else's. What goes to another one is more work there and
// in the store than a call, and takes a token as one does. Its error is *call.Error: it may not
// have come there.
func (ex *Exchange) pass(ctx context.Context, s *session) error {
	ss, m := &ex.server.sessions, ex.msg
	pay := func(name string) error {
		if err := ex.settle(ctx, op.Request{Op: name, Phase: op.PhaseList}); err != nil {
			return err
		}
		return nil
	}
	switch {
	case s == nil:
		return nil
	case m.IsResponse():
		return ss.deliver(ctx, s, m, func() error { return pay("mcp.response") })
	case m.IsNotification() && m.Method == "notifications/cancelled":
		return ss.cancel(ctx, s, m.Params, func() error { return pay(recordedAs(m.Method)) })
	}
	return nil
}
