package mcp

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	// Failed is told of a panic that became an internal error. Optional.
	Failed func(error)

	ToolNames string // "auto" or empty, "dotted", "underscore"
	Compat    bool   // /mcp/rpc answers in the shapes of the service that this one replaces
	KVMount   string
	Version   string // of the gateway
	Limits    Limits
	Events    *events.Log   // changes to tell of; nil for none
	KeepAlive time.Duration // between two signs of life on a stream, default 15 s
	Extra     *Provider     // more tools, resources and prompts; nil in the gateway itself
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
	methods  map[string]method
	compat   map[string]method
	tools    []tool // sorted by name
	byName   map[string]*tool
	prompts  []Prompt
	sessions sessions
	states   states
	info     jsontext.Value // serverInfo
}

// New makes a server.
func New(c Config) *Server {
	c.Limits = c.Limits.orDefault()
	c.KeepAlive = cmp.Or(c.KeepAlive, 15*time.Second)
	if c.Revision == nil {
		c.Revision = func() string { return "" }
	}
	s := &Server{Config: c, methods: methods(), compat: compatMethods(), byName: map[string]*tool{}, states: newStates()}
	s.sessions.limits, s.sessions.revision = c.Limits, c.Revision
	s.info = mustJSON(map[string]string{"name": "portcullis", "title": "Portcullis", "version": c.Version})
	s.loadTools()
	s.prompts = catalogue(s)
	if c.Extra != nil {
		s.prompts = append(s.prompts, c.Extra.Prompts...)
	}
	return s
}

func (s *Server) failed(err error) {
	panics.Inc()
	if s.Failed != nil {
		s.Failed(err)
	}
}

// mustJSON encodes a value of ours, which cannot fail.
func mustJSON(v any) jsontext.Value {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err)
	}
	return b
}
