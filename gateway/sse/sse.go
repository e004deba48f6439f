package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// Config is what the routes need.
type Config struct {
	Log       *events.Log
	KVMount   string
	KeepAlive time.Duration // between two signs of life, default 15 s
	Write     time.Duration // deadline of one write, default 10 s
	Retry     time.Duration // after which a client should come back, default 3 s
	// Admit takes a token for a request that is no operation and says why it is refused, which
	// is on record (pipeline.Admit). Change does what the gateway keeps for a caller from then
	// on, on record (pipeline.Change). Both are set or neither.
	Admit  func(context.Context, *op.Request) error
	Change func(context.Context, *op.Request, func(context.Context) error) error
	// Keep takes bytes of what may be kept for a caller, until release is called. Optional.
	Keep func(c *call.Caller, bytes int) (release func(), err error)
	// Resume authenticates a request with the ticket of a caller: its credential may have
	// ended since, and the request may come from somewhere else. Optional.
	Resume func(*http.Request, *call.Caller) (*call.Caller, error)
	// Open counts the streams that go on when their handlers have returned. Optional.
	Open *sync.WaitGroup
	// Error writes a refusal.
	Error func(w http.ResponseWriter, err *call.Error)
}

// Server answers the event routes.
type Server struct {
	Config
	tickets tickets
}

// New makes a server.
func New(c Config) *Server {
	c.KeepAlive = cmp.Or(c.KeepAlive, 15*time.Second)
	c.Write = cmp.Or(c.Write, 10*time.Second)
	c.Retry = cmp.Or(c.Retry, 3*time.Second)
	c.Open = cmp.Or(c.Open, new(sync.WaitGroup))
	return &Server{Config: c}
}

// Events answers GET /events: a stream of what changes at and below the caller's
// prefix, or what the filter names. Query parameters, each may be repeated: path
// (relative to the caller's prefix, or a full path below the KV mount; one that ends
// in a slash means all below it) and type (a kind of event, default resource.changed).
// A path that the caller may not receive is refused before anything is subscribed to.
func (s *Server) Events(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	f, _, err := s.asked(r, c, opEvents)
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	var rd *events.Reader
	err = s.keep(r, c, opEvents, func(context.Context) (err error) {
		rd, err = s.Log.Subscribe(c, "events", f, lastID(r))
		return err
	})
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	first := fmt.Sprintf("retry: %d\nid: %s\n\n", s.Retry.Milliseconds(), rd.Position())
	if rd.Missed() {
		first += "event: reset\ndata: {\"type\":\"reset\"}\n\n"
	}
	s.stream(w, r, rd, format{first, newShape, func() string { return ": keep-alive\n\n" }})
}

// lastID is where a client wants to go on. EventSource sends the header.
func lastID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-Id"); id != "" {
		return id
	}
	return r.URL.Query().Get("last_event_id")
}

// format is how a stream begins, and how it writes an event and its signs of life.
type format struct {
	first string
	event func(s *Server, e *events.Event, id string) string
	idle  func() string
}

// stream serves a reader until it, or the client, ends. It keeps nothing of the request.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, rd *events.Reader, f format) {
	out := edge.NewEventStream(w, s.Write)
	out.Serve(r, s.Open, f.first, func(ctx context.Context) {
		defer rd.Close()
		s.pump(ctx, rd, out, f)
	})
}

// send writes text of whole events. A write that fails ends the stream in pump.
func send(out *edge.EventStream, text string) { _, _ = io.WriteString(out, text) }

// pump writes events until the stream or the client ends.
func (s *Server) pump(ctx context.Context, rd *events.Reader, out *edge.EventStream, f format) {
	for out.Err() == nil {
		e, id, err := rd.Next(ctx, s.KeepAlive)
		switch {
		case err == nil:
			send(out, f.event(s, e, id))
		case errors.Is(err, events.ErrIdle):
			send(out, f.idle())
		default:
			return
		}
	}
}

// newShape is an event of GET /events.
func newShape(s *Server, e *events.Event, id string) string {
	body, err := json.Marshal(struct {
		Type    events.Kind   `json:"type"`
		URI     string        `json:"uri,omitempty"`
		Path    string        `json:"path,omitempty"`
		Op      string        `json:"op,omitempty"`
		Version int           `json:"version,omitzero"`
		Subject string        `json:"subject,omitempty"`
		Source  events.Source `json:"source,omitempty"`
		Time    time.Time     `json:"time"`
	}{e.Kind, s.uri(e), e.Path.String(), e.Op, e.Version, e.Subject, e.Source, e.Time.UTC()})
	if err != nil {
		return ""
	}
	return "id: " + id + "\nevent: " + string(e.Kind) + "\ndata: " + string(body) + "\n\n"
}

// uri is the resource URI of a changed secret, its segments escaped.
func (s *Server) uri(e *events.Event) string {
	if e.Kind != events.ResourceChanged {
		return ""
	}
	u := "kv://" + e.Mount
	for seg := range strings.SplitSeq(e.Path.String(), "/") {
		u += "/" + url.PathEscape(seg)
	}
	return u
}

// asked reads the filter that a request asks for, and what the query says of it. Each
// path is decided, so it is paid for before.
func (s *Server) asked(r *http.Request, c *call.Caller, name string) (f events.Filter, query url.Values, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return f, nil, s.refuse(r, c, name, call.Errorf(call.InvalidRequest, "the query of the URL cannot be parsed"))
	}
	query = url.Values{"path": q["path"], "type": q["type"]}
	if n := len(q["path"]); n > s.Log.Topics || len(q["type"]) > maxTypes {
		err = call.Errorf(call.InvalidRequest, "a stream has at most %d paths and %d types", s.Log.Topics, maxTypes)
		return f, nil, s.refuse(r, c, name, err)
	}
	if err = s.charge(r, c, name, len(q["path"])); err != nil {
		return f, nil, err
	}
	if f, err = s.filter(r.Context(), query, c); err != nil {
		return f, nil, s.refuse(r, c, name, err)
	}
	return f, query, nil
}

// maxTypes bounds the types that a filter names: there are not as many.
const maxTypes = 16

// filter reads a filter from query parameters.
func (s *Server) filter(ctx context.Context, q url.Values, c *call.Caller) (events.Filter, error) {
	f := events.Filter{Kinds: []events.Kind{events.ResourceChanged}}
	if types := q["type"]; len(types) > 0 {
		f.Kinds = nil
		for _, t := range types {
			k, ok := kind(t)
			if !ok {
				return f, call.Errorf(call.InvalidRequest, "unknown event type")
			}
			f.Kinds = append(f.Kinds, k)
		}
	}
	for _, p := range q["path"] {
		ts, err := s.topics(ctx, c, p)
		if err != nil {
			return f, err
		}
		f.Topics = append(f.Topics, ts...)
	}
	if f.Topics == nil {
		f.Topics = []events.Topic{{Mount: s.KVMount, Path: c.Prefix, Below: true}}
	}
	return f, nil
}

// topics are what a path means for a caller. One under its prefix is a full path; any
// other may be relative, as everywhere else, or full: it means what the caller may hear
// of, and both when it may receive both.
func (s *Server) topics(ctx context.Context, c *call.Caller, p string) (ts []events.Topic, err error) {
	prefix, err := call.ParsePrefix(p)
	if err != nil {
		return nil, err
	}
	full := events.Topic{Mount: s.KVMount, Path: prefix.Path, Below: p == "" || strings.HasSuffix(p, "/")}
	candidates := []events.Topic{full}
	if !full.Path.Within(c.Prefix) {
		relative := full
		relative.Path = c.Prefix.Join(full.Path)
		candidates = append(candidates, relative)
	}
	for _, t := range candidates {
		if s.Log.MayReceive(ctx, c, t) {
			ts = append(ts, t)
		}
	}
	if ts == nil {
		return nil, call.Errorf(call.Forbidden,
			"denied by policy: events of this path; give a path relative to your prefix (app, or team/ for all below it) or the full path below the mount (%s)", example(c))
	}
	return ts, nil
}

// example is a full path that a caller could have meant.
func example(c *call.Caller) string {
	app, err := call.ParsePath("app")
	if err != nil {
		return "app"
	}
	return c.Prefix.Join(app).String()
}

func kind(s string) (events.Kind, bool) {
	switch k := events.Kind(s); k {
	case events.ResourceChanged, events.ToolCompleted, events.ToolsChanged, events.PromptsChanged:
		return k, true
	}
	return "", false
}
