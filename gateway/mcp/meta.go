package mcp

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// The keys of _meta that every modern request uses (MCP 2026-07-28, base protocol).
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClientInfo   = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
	metaProgress     = "progressToken"
)

// modernVersion is the one revision of the modern era; the legacy ones follow,
// newest first.
const modernVersion = "2026-07-28"

func legacyVersions() []string { return []string{"2025-11-25", "2025-06-18", "2025-03-26"} }

func supportedVersions() []string { return append([]string{modernVersion}, legacyVersions()...) }

// meta is what a request says about itself. None of it identifies the caller.
type meta struct {
	version      string // protocol revision, empty when not said
	clientName   string // for presentation only
	capabilities jsontext.Value
	logLevel     string
	progress     jsontext.Value // token, nil when no progress is asked for
}

// readMeta reads params._meta.
func readMeta(params jsontext.Value) (meta, *Fault) {
	bad := badRequest(CodeInvalidParams, "_meta is not as the protocol has it")
	p, err := fields(params, "_meta")
	if err != nil {
		return meta{}, badRequest(CodeInvalidParams, "params: "+err.Error())
	}
	f, err := fields(p[0], metaVersion, metaClientInfo, metaCapabilities, metaLogLevel, metaProgress)
	if err != nil {
		return meta{}, bad
	}
	m := meta{capabilities: f[2], progress: f[4]}
	var ok [3]bool
	m.version, ok[0] = optionalText(f[0])
	m.logLevel, ok[1] = optionalText(f[3])
	m.clientName, ok[2] = clientName(f[1])
	if slices.Contains(ok[:], false) || (m.progress != nil && !legalID(m.progress)) ||
		(m.capabilities != nil && m.capabilities.Kind() != '{') {
		return meta{}, bad
	}
	return m, nil
}

func optionalText(v jsontext.Value) (string, bool) {
	if v == nil {
		return "", true
	}
	return text(v)
}

// clientName reads the name of an Implementation object.
func clientName(info jsontext.Value) (string, bool) {
	f, err := fields(info, "name")
	if err != nil {
		return "", false
	}
	return optionalText(f[0])
}

// has reports whether the client declared a capability, "a" or "a.b".
func (m meta) has(path ...string) bool {
	v := m.capabilities
	for _, name := range path {
		f, err := fields(v, name)
		if err != nil || f[0] == nil {
			return false
		}
		v = f[0]
	}
	return true
}
