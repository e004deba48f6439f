package mcp

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// headerSession names a legacy session (MCP 2025-11-25, transports, session management).
const headerSession = "Mcp-Session-Id"

// admitLegacy finds the session that a legacy POST belongs to. initialize opens one.
func (s *Server) admitLegacy(w http.ResponseWriter, r *http.Request, ex *Exchange) *Fault {
	if ex.msg.method == "initialize" && !ex.msg.isNotification() {
		return s.openSession(w, r, ex)
	}
	sess, f := s.sessionOf(r, ex.Caller)
	if f != nil {
		return f
	}
	ex.session, ex.version = sess, sess.version
	ex.meta.clientName, ex.meta.capabilities = sess.clientName, sess.capabilities
	return nil
}

// sessionOf returns the session that a request names.
func (s *Server) sessionOf(r *http.Request, c *call.Caller) (*session, *Fault) {
	ids := r.Header.Values(headerSession)
	if len(ids) != 1 {
		return nil, badRequest(CodeInvalidRequest, "the header Mcp-Session-Id is missing: begin with initialize, or use /mcp/rpc")
	}
	sess := s.sessions.get(ids[0], c)
	if sess == nil {
		return nil, sessionFault()
	}
	if v := r.Header.Get("MCP-Protocol-Version"); v != "" && v != sess.version {
		return nil, badRequest(CodeInvalidRequest, "the protocol version is not the session's")
	}
	return sess, nil
}

// openSession begins a session for a well-formed initialize.
func (s *Server) openSession(w http.ResponseWriter, r *http.Request, ex *Exchange) *Fault {
	if len(r.Header.Values(headerSession)) > 0 {
		return badRequest(CodeInvalidRequest, "initialize belongs to no session")
	}
	sess, err := ex.negotiate(ex.msg.params)
	if err != nil {
		return ex.faultOf(err)
	}
	if !s.sessions.open(sess, time.Now()) {
		return streamFault(&call.Error{Code: call.Overloaded, Msg: "too many sessions", RetryAfter: time.Minute})
	}
	if s.Events != nil {
		sess.cursor = s.Events.Now(ex.Caller, sess.id)
	}
	ex.session, ex.version = sess, sess.version
	w.Header().Set(headerSession, sess.id)
	return nil
}

// negotiate reads initialize and settles the revision: the client's when it is
// known, else the newest (MCP 2025-11-25, lifecycle, version negotiation).
func (ex *Exchange) negotiate(params jsontext.Value) (*session, error) {
	f, err := fields(params, "protocolVersion", "capabilities", "clientInfo")
	if err != nil {
		return nil, invalidParams("params: " + err.Error())
	}
	version, ok := text(f[0])
	name, nameOK := clientName(f[2])
	if !ok || !nameOK || f[1].Kind() != '{' {
		return nil, invalidParams("initialize needs protocolVersion, capabilities and clientInfo")
	}
	if !slices.Contains(legacyVersions(), version) {
		version = legacyVersions()[0]
	}
	return &session{
		owner: ex.Caller.Key(), version: version, clientName: name,
		capabilities: slices.Clone(f[1]),
	}, nil
}

// initialize answers the handshake. On the plain endpoint it opens no session.
func (ex *Exchange) initialize(_ context.Context, params jsontext.Value) (result, error) {
	version := ex.version
	if ex.session == nil {
		sess, err := ex.negotiate(params)
		if err != nil {
			return result{}, err
		}
		version = sess.version
	}
	return result{body: mustJSON(struct {
		ProtocolVersion string         `json:"protocolVersion"`
		Capabilities    jsontext.Value `json:"capabilities"`
		ServerInfo      jsontext.Value `json:"serverInfo"`
		Instructions    string         `json:"instructions"`
	}{version, ex.capabilities(), ex.server.info, instructions})}, nil
}

// capabilities are what this exchange's era and endpoint can do, and no more.
func (ex *Exchange) capabilities() jsontext.Value {
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
	return mustJSON(c)
}

// setLevel sets the level from which log messages are sent in this session.
func (ex *Exchange) setLevel(_ context.Context, params jsontext.Value) (result, error) {
	f, err := fields(params, "level")
	level, ok := text(f[0])
	if err != nil || !ok || !slices.Contains(logLevels(), level) {
		return result{}, invalidParams("unknown level")
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
	if f != nil {
		s.writeFault(w, nil, f)
		return
	}
	s.sessions.end(sess)
	w.WriteHeader(http.StatusNoContent)
}
