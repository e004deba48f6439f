package mcp

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op"
)

// The keys of _meta that every modern request uses (MCP 2026-07-28, base protocol).
const (
	metaClientInfo   = "io.modelcontextprotocol/clientInfo"
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
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

// meta is what a request says about itself. None of it identifies the caller; what the
// client is called is for the policy, and proves nothing.
type meta struct {
	version      string // protocol revision, empty when not said
	capabilities capabilities
	declared     bool // it says something about the client's capabilities
	logLevel     string
	progress     jsontext.Value // token, nil when no progress is asked for
	deliver      jsontext.Value // portcullis/deliver
	wrapTTL      jsontext.Value // portcullis/wrap_ttl
	reason       jsontext.Value // portcullis/reason
	client       op.Client      // of clientInfo, without a session
	parent       string         // traceparent (W3C Trace Context)
	state        string         // tracestate
}

var errMeta = errors.New("_meta is not as the protocol has it")

// readMeta reads params._meta.
func readMeta(params object) (m meta, err error) {
	p := reader{o: params}
	r := reader{o: p.object("_meta")}
	if p.err != nil {
		return m, p.err
	}
	m.version, m.logLevel = r.optional(metaVersion), r.optional(metaLogLevel)
	m.deliver, m.wrapTTL = r.value(metaDeliver), r.value(metaWrapTTL)
	m.reason = r.value(metaReason)
	m.parent, m.state = optionalText(r.value("traceparent")), optionalText(r.value("tracestate"))
	m.client = readClient(lenient(r.value(metaClientInfo)))
	m.progress = r.value(metaProgress)
	m.declared = r.value(metaCapabilities) != nil
	m.capabilities = readCapabilities(r.object(metaCapabilities))
	if r.err != nil || m.progress != nil && !legalID(m.progress) {
		return m, errMeta
	}
	return m, nil
}

// optionalText is a text, empty for what is none: a trace context that cannot be read is
// ignored (W3C Trace Context, section 4.3).
func optionalText(v jsontext.Value) string {
	s, _ := text(v)
	return s
}

// lenient is an object, empty for what is none.
func lenient(v jsontext.Value) object {
	o, err := readObject(v)
	if err != nil {
		return nil
	}
	return o
}

// readClient reads how a client names itself. What is no text says nothing.
func readClient(o object) op.Client {
	r := reader{o: o}
	name, _ := text(r.value("name"))
	version, _ := text(r.value("version"))
	return op.ClientNamed(name, version, "")
}

// capabilities are the names of what a client can do: "sampling", "elicitation.form".
type capabilities map[string]bool

// The bounds of what is kept of a client's capabilities, which no message of the
// protocol comes near.
const (
	maxCapabilities = 32 // each with as many below it
	maxCapability   = 64 // bytes of one name
)

// readCapabilities keeps the names of two levels. What is beyond the bounds is not
// among the capabilities.
func readCapabilities(o object) capabilities {
	c := capabilities{}
	for _, m := range within(o) {
		c[m.name] = true
		below, err := readObject(m.value)
		if err != nil {
			continue
		}
		for _, b := range within(below) {
			c[m.name+"."+b.name] = true
		}
	}
	return c
}

// within are the members within the bounds.
func within(o object) (out object) {
	for _, m := range o[:min(len(o), maxCapabilities)] {
		if len(m.name) <= maxCapability && m.value.Kind() != 'n' {
			out = append(out, m)
		}
	}
	return out
}

// has reports whether the client declared a capability, "a" or "a", "b".
func (c capabilities) has(path ...string) bool { return c[strings.Join(path, ".")] }

// size is what the capabilities hold, in bytes.
func (c capabilities) size() (n int) {
	for name := range c {
		n += len(name) + 32
	}
	return n
}
