package protocol

import (
	"encoding/base64"
	"strings"
)

// MethodListen opens a stream of notifications (MCP 2026-07-28, subscriptions).
const MethodListen = "subscriptions/listen"

// HeaderSession names a legacy session (MCP 2025-11-25, transports, session management).
const HeaderSession = "Mcp-Session-Id"

// RoutedName is what Mcp-Name must repeat.
func RoutedName(m *Message) (string, bool) {
	var key string
	switch m.Method {
	case "tools/call", "prompts/get":
		key = "name"
	case "resources/read":
		key = "uri"
	default:
		return "", false
	}
	r := Reader{O: m.Params}
	name := r.Text(key)
	return name, r.Err == nil // what is wrong with it, the method says
}

// DecodeHeader undoes the base64 form that carries values that a header cannot.
// A value without both of its ends is meant literally.
func DecodeHeader(v string) (string, bool) {
	v = strings.Trim(v, " \t")
	enc, begins := strings.CutPrefix(v, "=?base64?")
	enc, ends := strings.CutSuffix(enc, "?=")
	if !begins || !ends {
		return v, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(enc)
	return string(b), err == nil
}

// EncodeHeader writes a value so that a header can carry it.
func EncodeHeader(v string) string {
	plain := !strings.HasPrefix(v, "=?base64?") && strings.Trim(v, " \t") == v
	for _, c := range []byte(v) {
		plain = plain && c >= ' ' && c <= '~'
	}
	if plain {
		return v
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(v)) + "?="
}
