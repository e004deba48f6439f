package op

import (
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// Transport is how a call came in.
type Transport string

// The transports.
const (
	REST  Transport = "rest"
	MCP   Transport = "mcp"
	SSE   Transport = "sse"
	Stdio Transport = "stdio"

	VaultAPI Transport = "vault" // Vault's own HTTP API
)

// Phase is why a decision is asked for.
type Phase string

// The phases: a call, the question whether something may be listed, the delivery
// of an event on a stream.
const (
	PhaseCall   Phase = "call"
	PhaseList   Phase = "list"
	PhaseStream Phase = "stream"
)

// Request is a call as a transport builds it.
type Request struct {
	ID        string // unique, echoed to the caller
	Transport Transport
	Phase     Phase // empty means PhaseCall
	Op        string
	Args      []byte // JSON object, checked by Bind; empty means {}
	Caller    *call.Caller
	Mount     string       // that the transport's address names; empty for the default, or the argument mount
	Absolute  bool         // paths in Args are full paths below the mount
	Deliver   call.Deliver // what the caller asks for: never looser than what the policy says
	WrapTTL   time.Duration
	Reason    string    // why, in the caller's own words, for policy and evidence; proves nothing
	Client    Client    // the program that calls, as it names itself
	Time      time.Time // when it came in; the policy sees this time
	Trace     Trace     // where the call belongs in a distributed trace
	Items     int       // what a request that is no operation asks for, each of which costs; 0 is 1
	// Details are what a request that is no operation changes, for evidence.
	Details []Detail
	// Room takes bytes of the caller's share until the answer has left, for results that
	// are large; its error refuses the call. Nil bounds nothing.
	Room func(bytes int64) error
	Bad  error // why the transport cannot read the call; it is refused with that, and on record
}

// Detail is a part of what a request asks for that is no operation, such as the caller
// that an administrator revokes.
type Detail struct {
	Name  string
	Value string
	Free  bool // a text that somebody wrote, which goes through the redactor
}

// Trace is what a transport knows of the trace that a call belongs to. All of it is
// what the caller says, and nothing is decided by it.
type Trace struct {
	Parent string // traceparent (W3C Trace Context, section 3.2), empty for none
	State  string // tracestate
	Link   string // traceparent of the HTTP request, where Parent came with the message inside it

	// Of an MCP message; empty elsewhere.
	Method   string
	Protocol string
	Session  string
	ID       string // JSON-RPC request id
	URI      string // of a resource
}

// TraceID is the id of the trace, 32 hex digits, empty where the call belongs to none
// (W3C Trace Context, section 3.2.2.3).
func (t Trace) TraceID() string {
	for _, parent := range []string{t.Parent, t.Link} {
		if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
			continue
		}
		id := parent[3:35]
		if strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != "" {
			return id
		}
	}
	return ""
}

// Client is the program that calls. Everything in it is what the program says.
type Client struct {
	Name    string
	Version string
	Session string // MCP session, empty for none
}

// Reason is why a decision is what it is.
type Reason struct {
	Code     string `json:"code" jsonschema:"the rule's own name of the reason"`
	Msg      string `json:"msg,omitempty" jsonschema:"the same for people"`
	Audience string `json:"audience,omitempty" jsonschema:"agent for what callers may see, admin for what is only logged"`
	Rule     string `json:"rule,omitempty" jsonschema:"the rule that said so"`
}

// Transform is one obligation: a named transform of the result.
type Transform struct {
	Name string         `json:"name"`
	Args map[string]any `json:"args,omitempty"`
}

// Obligations are what must be done to the result.
type Obligations struct {
	Transforms []Transform   `json:"transforms"`
	Deliver    call.Deliver  `json:"deliver"`
	Masked     bool          `json:"masked,omitempty"` // values are hidden; of wrapped, those in what is wrapped
	Fields     []string      `json:"fields,omitempty"` // the only fields of a secret that are shown, nil for all
	WrapTTL    time.Duration `json:"-"`
	MaxTTL     time.Duration `json:"-"`
}

// Decision is the answer of the decision point. It is a denial unless Allow is
// true, and only then Grant is valid.
type Decision struct {
	ID             string
	Allow          bool
	Code           call.Code // of a denial: Forbidden, InsufficientScope, OnBehalfOfRequired, PolicyError or PolicyTimeout
	Reasons        []Reason
	RequiredScopes []string
	PathPrefix     string
	Tier           string
	Cost           int // tokens that the call takes from its bucket, 0 means 1
	Obligations    Obligations
	Revision       string // of the policy and its data
	Cached         bool
	Grant          call.Grant
}

// Err is the error that a denial is answered with, nil when allowed.
func (d *Decision) Err() error {
	if d.Allow {
		return nil
	}
	e := &call.Error{Code: d.Code, Msg: denialText(d.Code), Err: reasonsErr(d.Reasons)}
	if d.Code == call.InsufficientScope {
		e.Scopes = d.RequiredScopes
	}
	var public []Reason
	for _, r := range d.Reasons {
		if r.Audience == "agent" {
			public = append(public, Reason{Code: r.Code, Msg: r.Msg})
		}
	}
	if public != nil {
		e.Data = map[string]any{"reasons": public}
	}
	return e
}

func denialText(c call.Code) string {
	switch c {
	case call.InsufficientScope:
		return "the credential lacks a scope that this operation needs"
	case call.OnBehalfOfRequired:
		return "the policy wants to know on whose behalf the call is made: send a token of theirs beside your own credential, in X-On-Behalf-Of: Bearer TOKEN, or as portcullis/on-behalf-of in _meta over MCP"
	case call.PolicyTimeout:
		return "the policy did not answer in time"
	case call.PolicyError:
		return "the policy could not decide"
	default:
		return "denied by policy"
	}
}

type reasonsErr []Reason

func (rs reasonsErr) Error() string {
	s := "denied"
	for _, r := range rs {
		s += "; " + r.Code
	}
	return s
}

// Result is what a call answers.
type Result struct {
	RequestID  string
	DecisionID string
	Tier       string // the bucket that was charged, empty when none was
	Body       []byte // JSON object, the operation's output after transforms; the transport owns it
	Status     int    // HTTP status of success
	Version    int    // of the KV secret that was read or written, 0 for none
	Cache      vault.CacheUse
	Deliver    call.Deliver // the form of Body; wrapped, it is a vault.Wrapped and not the operation's output

	// Free gives the memory of Body back, which nobody may look at any more. A transport that
	// does not know when that is need not call it. May be nil.
	Free func()
}

// Done frees the memory of Body.
func (r *Result) Done() {
	if free := r.Free; free != nil {
		r.Body, r.Free = nil, nil
		free()
	}
}
