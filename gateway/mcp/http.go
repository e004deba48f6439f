package mcp

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// ServeMCP answers /mcp: Streamable HTTP in both eras. The caller has been
// authenticated, Host and Origin have been checked, and the body is bounded.
func (s *Server) ServeMCP(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	secureHeaders(w.Header())
	switch {
	case r.Method == http.MethodPost:
		s.servePOST(w, r, c)
	case isModernVersion(r.Header.Get("MCP-Protocol-Version")):
		// The modern era has neither streams to GET nor sessions to DELETE.
		methodNotAllowed(w, "POST")
	case r.Method == http.MethodGet:
		s.serveStream(w, r, c)
	case r.Method == http.MethodDelete:
		s.endSession(w, r, c)
	default:
		methodNotAllowed(w, "GET, POST, DELETE")
	}
}

// ServeRPC answers /mcp/rpc: plain JSON-RPC over POST. It requires neither a
// handshake, a session, a version header nor _meta; what is given of them must be right.
func (s *Server) ServeRPC(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	secureHeaders(w.Header())
	if r.Method != http.MethodPost {
		methodNotAllowed(w, "POST")
		return
	}
	ex := s.exchange(w, r, c)
	_, f := ex.receive(r)
	if f == nil {
		f = ex.route(r)
	}
	if f != nil {
		s.refuse(w, r, ex, f)
		return
	}
	ex.version = cmp.Or(ex.msg.Meta.Version, protocol.LegacyVersions()[0])
	if s.Compat && ex.era == plain {
		s.serveCompat(w, r, ex)
		return
	}
	s.respond(w, r, ex)
}

// exchange begins an exchange over HTTP, with a message that is still to come.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c *call.Caller) *Exchange {
	return &Exchange{
		Caller: c, server: s, msg: &protocol.Message{}, era: plain, requestID: r.Header.Get("X-Request-Id"), http: r, transport: op.MCP,
		room: edge.Share(w),
	}
}

// receive reads the body of a POST, and the message that it is. A batch is no
// message.
func (ex *Exchange) receive(r *http.Request) (raw []byte, f *protocol.Fault) {
	if raw, f = readBody(r); f != nil {
		return nil, f
	}
	m, f := protocol.Parse(raw)
	*ex.msg, ex.capabilities = m, m.Meta.Capabilities
	if f == nil {
		ex.view, f = ex.server.viewOf(r)
	}
	return raw, f
}

// route finds out whether a message on the plain endpoint is a modern one.
func (ex *Exchange) route(r *http.Request) *protocol.Fault {
	if ex.msg.IsResponse() {
		return protocol.BadRequest(protocol.CodeInvalidRequest, "responses are not expected here")
	}
	if ex.msg.Meta.Version == "" && !isModernVersion(r.Header.Get("MCP-Protocol-Version")) {
		return nil
	}
	f := checkModern(r.Header, ex.msg, false)
	if f == nil {
		ex.era = modern
	}
	return f
}

func (s *Server) servePOST(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	ex := s.exchange(w, r, c)
	raw, f := ex.receive(r)
	if f != nil && s.serveBatch(w, r, c, raw) {
		return
	}
	if f == nil {
		f = s.admitPOST(w, r, ex)
	}
	if f != nil {
		s.refuse(w, r, ex, f)
		return
	}
	s.respond(w, r, ex)
}

// admitPOST holds a message against the rules of its era.
func (s *Server) admitPOST(w http.ResponseWriter, r *http.Request, ex *Exchange) *protocol.Fault {
	if ex.era = eraOf(r.Header, ex.msg); ex.era != modern {
		return s.admitLegacy(w, r, ex)
	}
	ex.version = protocol.ModernVersion
	if f := checkModern(r.Header, ex.msg, true); f != nil {
		return f
	}
	return s.checkParams(r.Header, ex.msg)
}

// respond answers a message whose frame is in order.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	switch {
	case ex.msg.IsResponse():
		s.pass(w, r, ex)
	case ex.msg.IsNotification():
		s.notified(w, r, ex)
	case ex.era == modern && ex.msg.Method == protocol.MethodListen:
		s.serveListen(w, r, ex)
	default:
		s.reply(w, r, ex)
	}
}

// notified takes a notification. Nothing but a notification may come without an
// id: a call that nobody waits for is not made.
func (s *Server) notified(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	if !strings.HasPrefix(ex.msg.Method, "notifications/") {
		s.refuse(w, r, ex, protocol.BadRequest(protocol.CodeInvalidRequest, "a request needs an id"))
		return
	}
	s.pass(w, r, ex)
}

// pass answers what has no reply, unless it may not have come where it has to.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	if err := ex.pass(r.Context(), ex.session); err != nil {
		s.writeFault(w, nil, streamFault(call.AsError(err)))
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// reply answers a request, as JSON or, when something is to be said before the
// result, as a stream.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if ex.session != nil {
		done, f := ex.session.begin(ex.msg.ID, cancel)
		if f != nil {
			s.refuse(w, r, ex, f)
			return
		}
		defer done()
	}
	st := newStream(w, s.Limits.WriteTimeout)
	if accepts(r, "text/event-stream") {
		ex.send = st.message
	}
	body, f := ex.answer(ctx)
	switch {
	case ctx.Err() != nil:
		return // whoever asked has gone or has cancelled: nothing more is sent
	case f != nil:
		body = protocol.EncodeFault(ex.msg.ID, f)
	}
	if st.Started() {
		_ = st.message(body)
		st.End()
		return
	}
	if f != nil {
		s.writeFault(w, ex.msg.ID, f)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// readBody reads the body of a POST.
func readBody(r *http.Request) ([]byte, *protocol.Fault) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "the body must be application/json", Status: http.StatusUnsupportedMediaType}
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "the body must not be compressed", Status: http.StatusUnsupportedMediaType}
	}
	if !accepts(r, "application/json") && !accepts(r, "text/event-stream") {
		return nil, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "accept application/json and text/event-stream", Status: http.StatusNotAcceptable}
	}
	raw, err := edge.ReadAll(r)
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return nil, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "the body is too large", Status: http.StatusRequestEntityTooLarge}
	}
	if full, ok := errors.AsType[*call.Error](err); ok {
		return nil, streamFault(full) // there is no room for the body
	}
	if err != nil {
		return nil, protocol.BadRequest(protocol.CodeParse, "the body could not be read")
	}
	return raw, nil
}

// accepts reports whether the client takes a media type; one that says nothing
// takes everything.
func accepts(r *http.Request, mediaType string) bool {
	values := r.Header.Values("Accept")
	if strings.TrimSpace(strings.Join(values, "")) == "" {
		return true
	}
	major, _, _ := strings.Cut(mediaType, "/")
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			t, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(t)) {
			case mediaType, major + "/*", "*/*":
				return true
			}
		}
	}
	return false
}

func secureHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	w.WriteHeader(http.StatusMethodNotAllowed)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) { edge.WriteJSON(w, status, body) }

func (s *Server) writeFault(w http.ResponseWriter, id jsontext.Value, f *protocol.Fault) {
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	writeJSON(w, cmp.Or(f.Status, http.StatusOK), protocol.EncodeFault(id, f))
}
