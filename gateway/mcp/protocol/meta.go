package protocol

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
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
	metaProgress     = "progressToken"
)

// The keys of _meta by which a call asks for a masked or a wrapped answer. The
// decision makes of it the tighter of what is asked and what is allowed.
const (
	MetaDeliver = "portcullis/deliver"
	MetaWrapTTL = "portcullis/wrap_ttl"     // a duration, for example "60s"
	MetaReason  = "portcullis/reason"       // why the caller calls, one line
	MetaBehalf  = "portcullis/on-behalf-of" // a second credential, as in X-On-Behalf-Of
)

// ModernVersion is the one revision of the modern era; the legacy ones follow,
// newest first.
const ModernVersion = "2026-07-28"

// LegacyVersions are the revisions of the legacy era, newest first.
func LegacyVersions() []string { return []string{"2025-11-25", "2025-06-18", "2025-03-26"} }

// SupportedVersions are all revisions that are spoken, newest first.
func SupportedVersions() []string { return append([]string{ModernVersion}, LegacyVersions()...) }

// Meta is what a request says about itself. None of it identifies the caller; what the
// Client is called is for the policy, and proves nothing.
type Meta struct {
	Version      string // protocol revision, empty when not said
	Capabilities Capabilities
	Declared     bool // it says something about the client's capabilities
	LogLevel     string
	Progress     jsontext.Value // token, nil when no progress is asked for
	Deliver      jsontext.Value // portcullis/deliver
	WrapTTL      jsontext.Value // portcullis/wrap_ttl
	Reason       jsontext.Value // portcullis/reason
	Behalf       jsontext.Value // portcullis/on-behalf-of
	Client       op.Client      // of clientInfo, without a session
	Parent       string         // traceparent (W3C Trace Context)
	State        string         // tracestate
}

var errMeta = errors.New("_meta is not as the protocol has it")

// readMeta reads params._meta.
func readMeta(params Object) (m Meta, err error) {
	p := Reader{O: params}
	r := Reader{O: p.Object("_meta")}
	if p.Err != nil {
		return m, p.Err
	}
	m.Version, m.LogLevel = r.Optional(metaVersion), r.Optional(metaLogLevel)
	m.Deliver, m.WrapTTL = r.Value(MetaDeliver), r.Value(MetaWrapTTL)
	m.Reason, m.Behalf = r.Value(MetaReason), r.Value(MetaBehalf)
	m.Parent, m.State = optionalText(r.Value("traceparent")), optionalText(r.Value("tracestate"))
	m.Client = ReadClient(lenient(r.Value(metaClientInfo)))
	m.Progress = r.Value(metaProgress)
	m.Declared = r.Value(metaCapabilities) != nil
	m.Capabilities = ReadCapabilities(r.Object(metaCapabilities))
	if r.Err != nil || m.Progress != nil && !legalID(m.Progress) {
		return m, errMeta
	}
	return m, nil
}

// optionalText is a text, empty for what is none: a trace context that cannot be read is
// ignored (W3C Trace Context, section 4.3).
func optionalText(v jsontext.Value) string {
	s, _ := Text(v)
	return s
}

// lenient is an object, empty for what is none.
func lenient(v jsontext.Value) Object {
	o, err := readObject(v)
	if err != nil {
		return nil
	}
	return o
}

// ReadClient reads how a client names itself. What is no text says nothing.
func ReadClient(o Object) op.Client {
	r := Reader{O: o}
	name, _ := Text(r.Value("name"))
	version, _ := Text(r.Value("version"))
	return op.ClientNamed(name, version, "")
}

// Capabilities are the names of what a client can do: "sampling", "elicitation.form".
type Capabilities map[string]bool

// The bounds of what is kept of a client's capabilities, which no message of the
// protocol comes near.
const (
	maxCapabilities = 32 // each with as many below it
	maxCapability   = 64 // bytes of one name
)

// ReadCapabilities keeps the names of two levels. What is beyond the bounds is not
// among the capabilities.
func ReadCapabilities(o Object) Capabilities {
	c := Capabilities{}
	for _, m := range within(o) {
		c[m.Name] = true
		below, err := readObject(m.Value)
		if err != nil {
			continue
		}
		for _, b := range within(below) {
			c[m.Name+"."+b.Name] = true
		}
	}
	return c
}

// within are the members within the bounds.
func within(o Object) (out Object) {
	for _, m := range o[:min(len(o), maxCapabilities)] {
		if len(m.Name) <= maxCapability && m.Value.Kind() != 'n' {
			out = append(out, m)
		}
	}
	return out
}

// Has reports whether the client declared a capability, "a" or "a", "b".
func (c Capabilities) Has(path ...string) bool { return c[strings.Join(path, ".")] }

// Size is what the capabilities hold, in bytes.
func (c Capabilities) Size() (n int) {
	for name := range c {
		n += len(name) + 32
	}
	return n
}
