package mcp

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// Config is what a Server needs. Catalogue, Do and Callable must be set.
type Config struct {
	Catalogue *op.Catalogue
	// Do is the pipeline: the only way to anything that a caller asks for.
	Do func(context.Context, *op.Request) (*op.Result, error)
	// Callable reports whether some call of the operation could be allowed.
	Callable func(context.Context, *call.Caller, *op.Op) bool
	// Challenge is the WWW-Authenticate value that asks a bearer caller for more
	// scopes. Without it such a refusal is an ordinary result.
	Challenge func(*http.Request, *call.Error) string
	// Names are the keys or roles that the caller may use with an operation; ok is
	// false when its resources have no names in the policy's data. Optional.
	Names func(ctx context.Context, c *call.Caller, o *op.Op) (names []string, ok bool)
	// Revision names the policy in force; sessions end when it changes. Optional.
	Revision func() string
	// Behalf is the caller with a second credential that a message has in its _meta; its
	// errors are *call.Error. Optional: without it such a message is refused.
	Behalf func(ctx context.Context, c *call.Caller, credential string) (*call.Caller, error)
	// Withdrawn reports why a caller may be served no longer although it was authenticated
	// (pipeline.Pipeline.Withdrawn); its errors are *call.Error. Optional.
	Withdrawn func(*call.Caller) error
	// Failed is called with a panic that became an internal error. Optional.
	Failed func(error)

	// Admit takes a request that is no operation and makes the server keep nothing: a list, a
	// message that is no call (pipeline.Admit). Change takes one that does, a session or a
	// subscription, and does it on record (pipeline.Change). Both are set or neither; their
	// errors are *call.Error.
	Admit  func(context.Context, *op.Request) error
	Change func(context.Context, *op.Request, func(context.Context) error) error
	// Granted are the full paths of the KV mount outside its own prefix that the caller
	// may use. Optional.
	Granted func(context.Context, *call.Caller) []call.Path

	ToolNames string // "dotted"; anything else lists names with underscores
	View      View   // the tools that any client can see at all
	Compat    bool   // /mcp/rpc answers in the shapes of the service that this one replaces
	KVMount   string
	Version   string // of the gateway
	Limits    Limits
	Budgets   *budget.Budgets // of what is kept for callers; nil bounds nothing
	Events    *events.Log     // changes to tell of; nil for none
	KeepAlive time.Duration   // between two signs of life on a stream, default 15 s
	Providers []Provider      // of more tools, resources and prompts; none in the gateway itself
	Shared    *Shared         // where sessions are every replica's; nil for those of this process
}

// Limits bound what callers can hold. A zero field takes its default.
type Limits struct {
	PageSize          int           // entries in one page of a list, default 100
	SessionsPerCaller int           // default 64; the least recently used one makes room
	Sessions          int           // of all callers, default 10,000
	SessionIdle       time.Duration // an unused session ends, default 30 min
	WriteTimeout      time.Duration // of one write to a stream, default 10 s
}

func (l Limits) orDefault() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.PageSize, 100)
	def(&l.SessionsPerCaller, 64)
	def(&l.Sessions, 10_000)
	if l.SessionIdle == 0 {
		l.SessionIdle = 30 * time.Minute
	}
	if l.WriteTimeout == 0 {
		l.WriteTimeout = 10 * time.Second
	}
	return l
}

// Server answers MCP. It is safe for use by many goroutines.
type Server struct {
	Config
	methods   map[string]method
	compat    map[string]method
	providers []Provider
	tools     []Tool
	byName    map[string]*Tool // in both spellings
	prompts   []Prompt
	toolsets  []string
	sessions  sessions
	states    states
	info      jsontext.Value // serverInfo
}

// New makes a server.
func New(c Config) *Server {
	c.Limits = c.Limits.orDefault()
	c.KeepAlive = cmp.Or(c.KeepAlive, 15*time.Second)
	if c.Revision == nil {
		c.Revision = func() string { return "" }
	}
	s := &Server{Config: c, methods: methods(), compat: compatMethods(), byName: map[string]*Tool{}, states: newStates(c.Shared)}
	s.sessions.limits, s.sessions.revision, s.sessions.keeper = c.Limits, c.Revision, keeper{c.Budgets}
	s.sessions.shared = c.Shared
	if c.Shared != nil {
		s.sessions.self = c.Shared.Self
	}
	s.info = protocol.MustJSON(map[string]string{"name": "portcullis", "title": "Portcullis", "version": c.Version})
	s.toolsets = Toolsets(c.Catalogue)
	s.provide(append([]Provider{operations(s)}, c.Providers...))
	return s
}

// provide lists what the providers offer.
func (s *Server) provide(all []Provider) {
	s.providers = all
	for _, p := range all {
		s.tools, s.prompts = append(s.tools, p.Tools...), append(s.prompts, p.Prompts...)
	}
	for i := range s.tools {
		t := &s.tools[i]
		s.byName[t.Name] = t
		if t.Alias != "" {
			s.byName[t.Alias] = t
		}
	}
}

// MayReceive reports whether an event is about a resource of a provider beside the
// catalogue, and the caller may receive it.
func (s *Server) MayReceive(ctx context.Context, c *call.Caller, e events.Event) bool {
	return slices.ContainsFunc(s.Providers, func(p Provider) bool { return p.MayReceive != nil && p.MayReceive(ctx, c, e) })
}

// Toolsets are the names by which a client asks for a view of this server.
func (s *Server) Toolsets() []string { return s.toolsets }

// Toolsets are the names by which a view is asked for: the engines of a catalogue,
// sorted.
func Toolsets(c *op.Catalogue) (out []string) {
	for _, o := range c.All() {
		if !slices.Contains(out, o.Engine) {
			out = append(out, o.Engine)
		}
	}
	slices.Sort(out)
	return out
}

func (s *Server) failed(err error) {
	panics.Inc()
	if s.Failed != nil {
		s.Failed(err)
	}
}
