package mcp

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// admitLegacy finds the session that a legacy POST belongs to. initialize opens one.
func (s *Server) admitLegacy(w http.ResponseWriter, r *http.Request, ex *Exchange) *protocol.Fault {
	if ex.msg.Method == "initialize" && !ex.msg.IsNotification() {
		return s.openSession(w, r, ex)
	}
	sess, f := s.sessionOf(r, ex.Caller)
	if f == nil {
		ex.join(sess)
	}
	return f
}

// sessionOf returns the session that a request names.
func (s *Server) sessionOf(r *http.Request, c *call.Caller) (*session, *protocol.Fault) {
	ids := r.Header.Values(protocol.HeaderSession)
	if len(ids) != 1 {
		return nil, protocol.BadRequest(protocol.CodeInvalidRequest, "the header Mcp-Session-Id is missing: begin with initialize, or use /mcp/rpc")
	}
	sess, err := s.sessions.find(r.Context(), ids[0], c)
	if err != nil {
		return nil, streamFault(call.AsError(err))
	}
	if sess == nil {
		return nil, sessionFault()
	}
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && v != sess.version {
		return nil, protocol.BadRequest(protocol.CodeInvalidRequest, "the protocol version is not the session's")
	}
	return sess, nil
}

// openSession begins a session for a well-formed initialize. A session that the
// request names is ignored: the client is about to get a new one, and may have been
// told that the old one is gone.
func (s *Server) openSession(w http.ResponseWriter, r *http.Request, ex *Exchange) *protocol.Fault {
	p := protocol.Reader{O: ex.msg.Params}
	h := readHello(&p)
	if p.Err != nil {
		return protocol.InvalidParams("params: " + p.Err.Error())
	}
	sess := ex.negotiate(h)
	err := ex.pay(r.Context(), asEvent, func(context.Context) error {
		if !s.sessions.open(sess, time.Now()) {
			return &call.Error{Code: call.Overloaded, Msg: "too many sessions", RetryAfter: time.Minute}
		}
		if s.Events != nil {
			sess.cursor = s.Events.Now(ex.Caller, sess.id)
		}
		return s.sessions.begin(r.Context(), sess) //nolint:contextcheck // as long as its request is waited for
	})
	if err != nil {
		return streamRefusal(err)
	}
	ex.join(sess)
	w.Header().Set(protocol.HeaderSession, sess.id)
	return nil
}

// hello are the params of initialize.
type hello struct {
	version      string
	capabilities protocol.Capabilities
	client       op.Client
}

func readHello(r *protocol.Reader) hello {
	return hello{r.Text("protocolVersion"), protocol.ReadCapabilities(r.Object("capabilities")), protocol.ReadClient(r.Object("clientInfo"))}
}

// negotiate settles the revision: the client's when it is known, else the newest
// (MCP 2025-11-25, lifecycle, version negotiation).
func (ex *Exchange) negotiate(h hello) *session {
	if !slices.Contains(protocol.LegacyVersions(), h.version) {
		h.version = protocol.LegacyVersions()[0]
	}
	return &session{owner: ex.Caller.Key(), version: h.version, capabilities: h.capabilities, client: h.client}
}

// initialize answers the handshake. On the plain endpoint it opens no session.
func (ex *Exchange) initialize(_ context.Context, h hello) (result, error) {
	version := ex.version
	if ex.session == nil {
		version = ex.negotiate(h).version
	}
	return result{body: protocol.MustJSON(struct {
		ProtocolVersion string         `json:"protocolVersion"`
		Capabilities    jsontext.Value `json:"capabilities"`
		ServerInfo      jsontext.Value `json:"serverInfo"`
		Instructions    string         `json:"instructions"`
	}{version, ex.serverCapabilities(), ex.server.info, ex.instructions()})}, nil
}

// serverCapabilities are what this exchange's era and endpoint can do, and no more.
func (ex *Exchange) serverCapabilities() jsontext.Value {
	type list struct {
		ListChanged bool `json:"listChanged,omitzero"`
		Subscribe   bool `json:"subscribe,omitzero"`
	}
	type caps struct {
		Tools       list      `json:"tools"`
		Resources   list      `json:"resources"`
		Prompts     list      `json:"prompts"`
		Completions struct{}  `json:"completions"`
		Logging     *struct{} `json:"logging,omitzero"`
	}
	c := caps{}
	if ex.era == legacy {
		c.Logging = &struct{}{}
	}
	if ex.era != plain && ex.server.Events != nil {
		c.Tools.ListChanged, c.Prompts.ListChanged, c.Resources.Subscribe = true, true, true
	}
	return protocol.MustJSON(c)
}

func readLevel(r *protocol.Reader) string {
	level := r.Text("level")
	if !slices.Contains(logLevels(), level) {
		r.Fail("%s must be one of "+strings.Join(logLevels(), ", "), "level")
	}
	return level
}

// setLevel sets the level from which log messages are sent in this session.
func (ex *Exchange) setLevel(ctx context.Context, level string) (result, error) {
	if err := ex.server.sessions.change(ctx, ex.session, func(r *record) { r.Level = level }); err != nil {
		return result{}, err
	}
	ex.session.mu.Lock()
	defer ex.session.mu.Unlock()
	ex.session.logLevel = level
	return result{body: jsontext.Value("{}")}, nil
}

// logLevels are the levels of RFC 5424, least severe first.
func logLevels() []string {
	return []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
}

// endSession answers DELETE.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	sess, f := s.sessionOf(r, c)
	if f == nil {
		if err := s.sessions.over(r.Context(), sess); err != nil {
			f = streamFault(call.AsError(err))
		}
	}
	if f != nil {
		s.refuse(w, r, s.exchange(w, r, c), f)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
