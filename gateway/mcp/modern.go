package mcp

import (
	"context"
	"net/http"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
)

// isModernVersion reports whether a version header belongs to the stateless era:
// revisions are dates, so anything later than the last legacy one does.
func isModernVersion(v string) bool { return v >= protocol.ModernVersion }

// eraOf routes a POST: a modern version header, or a body that names its revision
// and belongs to no session, is modern. initialize without either is legacy.
func eraOf(h http.Header, m *protocol.Message) era {
	if isModernVersion(h.Get("MCP-Protocol-Version")) || (h.Get("Mcp-Session-Id") == "" && m.Meta.Version != "") {
		return modern
	}
	return legacy
}

// checkModern holds a modern message against its own headers (MCP 2026-07-28,
// transports, standard request headers). With strict the headers must be there.
func checkModern(h http.Header, m *protocol.Message, strict bool) *protocol.Fault {
	mt := &m.Meta
	if m.IsResponse() {
		return protocol.BadRequest(protocol.CodeInvalidRequest, "responses are not expected here")
	}
	if m.IsNotification() {
		return checkHeader(h, "Mcp-Method", m.Method, false)
	}
	if v := h.Get("MCP-Protocol-Version"); mt.Version == "" && v != "" && v != protocol.ModernVersion {
		return unsupported(v)
	}
	if mt.Version == "" {
		return protocol.BadRequest(protocol.CodeInvalidParams, "_meta must name the protocol version")
	}
	if f := checkHeader(h, "MCP-Protocol-Version", mt.Version, strict); f != nil {
		return f
	}
	if mt.Version != protocol.ModernVersion {
		return unsupported(mt.Version)
	}
	if !mt.Declared {
		return protocol.BadRequest(protocol.CodeInvalidParams, "_meta must name the client's capabilities")
	}
	if f := checkHeader(h, "Mcp-Method", m.Method, strict); f != nil {
		return f
	}
	if name, ok := protocol.RoutedName(m); ok {
		return checkHeader(h, "Mcp-Name", name, strict)
	}
	return nil
}

// unsupported refuses a revision that is not spoken here.
func unsupported(version string) *protocol.Fault {
	return &protocol.Fault{
		Code: protocol.CodeUnsupportedVersion, Msg: "unsupported protocol version", Status: http.StatusBadRequest,
		Data: map[string]any{"supported": protocol.SupportedVersions(), "requested": version},
	}
}

// checkHeader compares a header with what the body says. Somebody in front of the
// gateway may have decided by the header, so they must agree.
func checkHeader(h http.Header, name, want string, required bool) *protocol.Fault {
	values := h.Values(name)
	if len(values) == 0 && !required {
		return nil
	}
	if len(values) != 1 {
		return protocol.BadRequest(protocol.CodeHeaderMismatch, "the header "+name+" must be there once")
	}
	if got, ok := protocol.DecodeHeader(values[0]); !ok || got != want {
		return protocol.BadRequest(protocol.CodeHeaderMismatch, "the header "+name+" and the body do not agree")
	}
	return nil
}

// checkParams holds the arguments that a tool wants repeated in headers against
// those headers. None of the gateway's own tools has any: what is in a header is
// in other people's logs.
func (s *Server) checkParams(h http.Header, m *protocol.Message) *protocol.Fault {
	if m.Method != "tools/call" {
		return nil
	}
	r := protocol.Reader{O: m.Params}
	t := s.byName[r.Optional("name")]
	if t == nil || len(t.Headers) == 0 {
		return nil
	}
	args := protocol.Reader{O: r.Object("arguments")}
	for arg, header := range t.Headers {
		v := args.Value(arg)
		if v == nil {
			continue
		}
		want, isText := protocol.Text(v)
		if !isText {
			want = string(v)
		}
		if f := checkHeader(h, "Mcp-Param-"+header, want, true); f != nil {
			return f
		}
	}
	return nil
}

// discover says what the server is (server/discover).
func (ex *Exchange) discover(context.Context, none) (result, error) {
	return result{cache: true, body: protocol.MustJSON(struct {
		SupportedVersions []string       `json:"supportedVersions"`
		Capabilities      jsontext.Value `json:"capabilities"`
		Instructions      string         `json:"instructions"`
	}{protocol.SupportedVersions(), ex.serverCapabilities(), ex.instructions()})}, nil
}

// instructions are what a model should know before its first call: where its secrets
// are, and the habits that save it a refusal.
func (ex *Exchange) instructions() string {
	return "Portcullis gives access to HashiCorp Vault within a policy. " +
		"Paths of kv tools are relative to your own prefix, " + ex.Caller.Prefix.String() + ": app/db, not " + ex.Caller.Prefix.String() + "/app/db. " +
		"kv://" + ex.server.KVMount + "/FULL/PATH names a secret elsewhere. Look with kv_list before you read, and read several secrets with one kv_read_many. " +
		"A refusal says why and what to do next; retry_after_s says when waiting helps, and self_explain tells more about a decision_id."
}
