package mcp

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// isModernVersion reports whether a version header belongs to the stateless era:
// revisions are dates, so anything later than the last legacy one does.
func isModernVersion(v string) bool { return v >= modernVersion }

// eraOf routes a POST: a modern version header, or a body that names its revision
// and belongs to no session, is modern. initialize without either is legacy.
func eraOf(h http.Header, m *message) era {
	if isModernVersion(h.Get("MCP-Protocol-Version")) || (h.Get("Mcp-Session-Id") == "" && m.meta.version != "") {
		return modern
	}
	return legacy
}

// checkModern holds a modern message against its own headers (MCP 2026-07-28,
// transports, standard request headers). With strict the headers must be there.
func checkModern(h http.Header, m *message, strict bool) *Fault {
	mt := &m.meta
	if m.isResponse() {
		return badRequest(CodeInvalidRequest, "responses are not expected here")
	}
	if m.isNotification() {
		return checkHeader(h, "Mcp-Method", m.method, false)
	}
	if v := h.Get("MCP-Protocol-Version"); mt.version == "" && v != "" && v != modernVersion {
		return unsupported(v)
	}
	if mt.version == "" {
		return badRequest(CodeInvalidParams, "_meta must name the protocol version")
	}
	if f := checkHeader(h, "MCP-Protocol-Version", mt.version, strict); f != nil {
		return f
	}
	if mt.version != modernVersion {
		return unsupported(mt.version)
	}
	if !mt.declared {
		return badRequest(CodeInvalidParams, "_meta must name the client's capabilities")
	}
	if f := checkHeader(h, "Mcp-Method", m.method, strict); f != nil {
		return f
	}
	if name, ok := routedName(m); ok {
		return checkHeader(h, "Mcp-Name", name, strict)
	}
	return nil
}

// unsupported refuses a revision that is not spoken here.
func unsupported(version string) *Fault {
	return &Fault{
		Code: CodeUnsupportedVersion, Msg: "unsupported protocol version", status: http.StatusBadRequest,
		Data: map[string]any{"supported": supportedVersions(), "requested": version},
	}
}

// routedName is what Mcp-Name must repeat.
func routedName(m *message) (string, bool) {
	key := ""
	switch m.method {
	case "tools/call", "prompts/get":
		key = "name"
	case "resources/read":
		key = "uri"
	default:
		return "", false
	}
	r := reader{o: m.params}
	name := r.text(key)
	return name, r.err == nil // what is wrong with it, the method says
}

// checkHeader compares a header with what the body says. Somebody in front of the
// gateway may have decided by the header, so they must agree.
func checkHeader(h http.Header, name, want string, required bool) *Fault {
	values := h.Values(name)
	if len(values) == 0 && !required {
		return nil
	}
	if len(values) != 1 {
		return badRequest(CodeHeaderMismatch, "the header "+name+" must be there once")
	}
	if got, ok := decodeHeader(values[0]); !ok || got != want {
		return badRequest(CodeHeaderMismatch, "the header "+name+" and the body do not agree")
	}
	return nil
}

// decodeHeader undoes the base64 form that carries values that a header cannot.
// A value without both of its ends is meant literally.
func decodeHeader(v string) (string, bool) {
	v = strings.Trim(v, " \t")
	enc, begins := strings.CutPrefix(v, "=?base64?")
	enc, ends := strings.CutSuffix(enc, "?=")
	if !begins || !ends {
		return v, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(enc)
	return string(b), err == nil
}

// encodeHeader writes a value so that a header can carry it.
func encodeHeader(v string) string {
	plain := !strings.HasPrefix(v, "=?base64?") && strings.Trim(v, " \t") == v
	for _, c := range []byte(v) {
		plain = plain && c >= ' ' && c <= '~'
	}
	if plain {
		return v
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}

// checkParams holds the arguments that a tool wants repeated in headers against
// those headers. None of the gateway's own tools has any: what is in a header is
// in other people's logs.
func (s *Server) checkParams(h http.Header, m *message) *Fault {
	if m.method != "tools/call" {
		return nil
	}
	r := reader{o: m.params}
	t := s.byName[r.optional("name")]
	if t == nil || len(t.Headers) == 0 {
		return nil
	}
	args := reader{o: r.object("arguments")}
	for arg, header := range t.Headers {
		v := args.value(arg)
		if v == nil {
			continue
		}
		want, isText := text(v)
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
	return result{cache: true, body: mustJSON(struct {
		SupportedVersions []string       `json:"supportedVersions"`
		Capabilities      jsontext.Value `json:"capabilities"`
		Instructions      string         `json:"instructions"`
	}{supportedVersions(), ex.serverCapabilities(), ex.instructions()})}, nil
}

// instructions are what a model should know before its first call: where its secrets
// are, and the habits that save it a refusal.
func (ex *Exchange) instructions() string {
	return "Portcullis gives access to HashiCorp Vault within a policy. " +
		"Paths of kv tools are relative to your own prefix, " + ex.Caller.Prefix.String() + ": app/db, not " + ex.Caller.Prefix.String() + "/app/db. " +
		"kv://" + ex.server.KVMount + "/FULL/PATH names a secret elsewhere. Look with kv_list before you read, and read several secrets with one kv_read_many. " +
		"A refusal says why and what to do next; retry_after_s says when waiting helps, and self_explain tells more about a decision_id."
}
