// Package edge is the outermost layer: before any handler runs, the request has
// an id, an allowed Host and Origin, a clean path and, where the route asks for
// it, an authenticated caller. It also writes every error that a caller sees over
// plain HTTP, and the one log record of each HTTP request.
package edge

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"portcullis/gateway/budget"
	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/obs"
)

// Config is what the edge is built from.
type Config struct {
	Authenticate func(*http.Request) (*call.Caller, error)
	// Challenge returns the value of WWW-Authenticate for a refusal, empty for none.
	Challenge func(r *http.Request, err *call.Error) string
	// Refused is called with each request that is refused because its sender is not known.
	Refused func(r *http.Request, err *call.Error, requestID string)
	// Missed puts a caller's request on record that leads to no route, and returns what
	// it is answered with. Optional.
	Missed func(r *http.Request, c *call.Caller, err *call.Error) *call.Error
	// Anonymous reports whether an error of Authenticate means that no credential
	// was presented.
	Anonymous func(error) bool
	ClientIP  func(*http.Request) string
	// Source is where a request comes from, for the budget of callers that are not known. Optional.
	Source func(*http.Request) netip.Addr
	// Scheme is the scheme that the client used, which a trusted proxy may know; nil
	// goes by the connection.
	Scheme func(*http.Request) string
	// Short says why nothing new is begun, nil when there is nothing to say: the
	// gateway runs out of memory or of disk. Probes do not ask. Optional.
	Short func() error
	// Crowded reports whether the other end has more connections than it needs: one whose
	// request is refused ends with its answer. Optional.
	Crowded func(*http.Request) bool
	// Known hears of a request when it is known who calls, and Wasted when it was refused
	// for want of room or given up, see writer.wasted. Optional.
	Known, Wasted func(*http.Request)
	Budgets       *budget.Budgets // of requests and of the bytes of their bodies; nil bounds nothing
	Work          *gate.Gate      // of requests with a large body, which are worked on in turns by caller; nil bounds nothing
	MaxBody       int64
	BodyTimeout   time.Duration // for the whole body of a request
	WriteTimeout  time.Duration // in which a client takes 64 KiB of an answer that is no stream, default 20 s
	Loopback      bool          // the listener is reachable from this machine alone
	AllowedHosts  []string      // Host names served, beside the loopback names of a loopback listener; *.example.com is every name below example.com
	Origins       []string      // browser origins that may call (CORS)
	PublicURL     string        // the address under which callers know the gateway, whose origin may call; may be empty
	// Errors is how errors of a request are written, nil for as elsewhere. Optional.
	Errors func(*http.Request) ErrorWriter
	Log    *slog.Logger
	LogAll bool // of every request; else only of those that led to no call, which has a record of its own
	Server *slog.Logger
	Meter  *obs.Meter
}

// Edge routes requests. Add routes before serving.
type Edge struct {
	Config
	router *httprouter.Router // only looked up in: it never redirects, and never decodes
	spare  sync.Pool          // of *[piece]byte, for bodies
	probes map[string]bool    // paths that answer whatever Host is asked for
}

// Handler serves an authenticated request. r.Body is bounded; the caller's
// credential has not been followed by a byte of the body.
type Handler func(w http.ResponseWriter, r *http.Request, c *call.Caller)

// New makes an edge.
func New(c Config) *Edge {
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 20*time.Second)
	return &Edge{Config: c, router: httprouter.New(), probes: map[string]bool{}}
}

// Probe adds a route that says how the gateway is. It answers everybody, whatever
// the Host, and whatever anybody has used up: a balancer's probe names an address of
// the replica, not the name that callers know.
func (e *Edge) Probe(pattern string, h http.HandlerFunc) {
	e.probes[pattern] = true
	e.public(http.MethodGet, pattern, h)
}

// Public adds a route that anybody may call; what can be got can be asked for its head.
func (e *Edge) Public(method, pattern string, h http.HandlerFunc) {
	e.public(method, pattern, e.anonymous(h))
}

func (e *Edge) public(method, pattern string, h http.HandlerFunc) {
	serve := func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		setRoute(w, pattern)
		h(w, r)
	}
	e.router.Handle(method, pattern, serve)
	if method == http.MethodGet {
		e.router.Handle(http.MethodHead, pattern, serve)
	}
}

// Handle adds a route for authenticated callers. The request's path value with the name
// of the pattern's parameter is what that stands for; of a catch-all it may end in a
// slash. The path value "verb" is what follows a literal colon in the last segment, which
// the parameter has too.
func (e *Edge) Handle(method, pattern string, h Handler) {
	e.router.Handle(method, pattern, e.handle(pattern, h))
}

func (e *Edge) handle(pattern string, h Handler) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		setRoute(w, pattern)
		c, err := e.Authenticate(r)
		if err != nil {
			e.refuse(w, r, call.AsError(err))
			return
		}
		if err := e.seat(w, r, c); err != nil {
			e.turnAway(w, r, err)
			return
		}
		if err := setPath(w, r, pattern); err != nil {
			WriteError(w, e.recorded(r, c, call.AsError(err)), "")
			return
		}
		if r.ContentLength != 0 && bodiless(r.Method) {
			// Handlers read none, and what is left of one would hold a stream up.
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				WriteError(w, e.recorded(r, c, call.Errorf(call.InvalidRequest, "the body could not be read completely")), "")
				return
			}
		}
		h(w, r, c)
	}
}

// Either adds a route that anybody may call where open says so of the path value, and
// else authenticated callers.
func (e *Edge) Either(method, pattern string, open func(r *http.Request, path string) bool, h Handler) {
	e.router.Handle(method, pattern, func(w http.ResponseWriter, r *http.Request, ps httprouter.Params) {
		path := ""
		if ew, ok := w.(*writer); ok {
			path, _ = ew.target.value(pattern) // what is wrong with it, handle says
		}
		if !open(r, path) {
			e.handle(pattern, h)(w, r, ps)
			return
		}
		setRoute(w, pattern)
		e.anonymous(func(w http.ResponseWriter, r *http.Request) {
			if err := setPath(w, r, pattern); err != nil {
				WriteError(w, err, "")
				return
			}
			b := e.newBody(w, r)
			if ew, ok := w.(*writer); ok {
				ew.turn.Key = ew.who.Addr.String()
			}
			r.Body = b
			h(w, r, nil)
		})(w, r)
	})
}

// Optional adds a route for everybody: c is nil for a request without a credential. A
// credential that is presented must be good.
func (e *Edge) Optional(method, pattern string, h Handler) {
	e.router.Handle(method, pattern, func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) {
		setRoute(w, pattern)
		c, err := e.Authenticate(r)
		if err != nil && !e.Anonymous(err) {
			e.refuse(w, r, call.AsError(err))
			return
		}
		if c == nil {
			e.anonymous(func(w http.ResponseWriter, r *http.Request) { h(w, r, nil) })(w, r)
			return
		}
		if err := e.seat(w, r, c); err != nil {
			e.turnAway(w, r, err)
			return
		}
		h(w, r, c)
	})
}

// bodiless reports whether handlers of a method read no body.
func bodiless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete || method == "LIST"
}

// setPath sets the request's path values.
func setPath(w http.ResponseWriter, r *http.Request, pattern string) error {
	ew, ok := w.(*writer)
	if !ok {
		return nil
	}
	value, err := ew.target.value(pattern)
	if name := Parameter(pattern); name != "" {
		r.SetPathValue(name, value)
	}
	r.SetPathValue("verb", ew.target.verb)
	return err
}

// refuse answers a request whose caller is not known.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, err *call.Error) {
	if e.reserveAnonymous(w, r) {
		e.Refuse(w, r, err)
	}
}

// Refuse answers a request whose credential is not good, on record. It is for handlers of
// routes that anybody may call: of all others the edge has refused such requests itself.
func (e *Edge) Refuse(w http.ResponseWriter, r *http.Request, err *call.Error) {
	if e.Challenge != nil {
		if v := e.Challenge(r, err); v != "" {
			w.Header().Set("WWW-Authenticate", v)
		}
	}
	if e.Refused != nil {
		e.Refused(r, err, w.Header().Get("X-Request-Id"))
	}
	awaitBody(w, r, drainTimeout)
	WriteError(w, err, "")
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := newWriter(rw, r, e)
	w.who = e.from(r)
	w.turn.Gate = e.Work
	if e.Crowded != nil && r.ProtoMajor < 2 {
		w.crowded, w.request = e.Crowded, r
	}
	if e.Errors != nil {
		w.errors = e.Errors(r)
	}
	e.Meter.InFlight.Inc()
	ctx := gate.With(r.Context(), &w.turn)
	if !e.LogAll {
		ctx, w.exchange = obs.WithExchange(ctx)
	}
	r = r.WithContext(ctx)
	e.identify(w, r)
	defer e.finish(w, r)
	awaitBody(w, r, e.BodyTimeout)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	endChunked(h, r)
	if err := e.admit(w, r); err != nil {
		if !e.reserveAnonymous(w, r) {
			return
		}
		WriteError(w, err, "") // of another Host or Origin, so its credential is none of ours
		return
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		if e.reserveAnonymous(w, r) {
			e.preflight(w)
		}
		return
	}
	e.route(w, r)
}

// endChunked ends the connection behind a chunked request. One that also has a
// Content-Length is read by its chunks, and net/http does not tell; whoever passed it on
// by its length has taken what follows for a part of it, and it must not be served as a
// request of its own (RFC 9112, section 6.1).
func endChunked(h http.Header, r *http.Request) {
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		h.Set("Connection", "close")
	}
}

// finish closes a request: a panic is an error of this request alone, and the
// record is written whatever happened.
func (e *Edge) finish(w *writer, r *http.Request) {
	if v := recover(); v != nil {
		if v == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
			w.release()
			e.Meter.InFlight.Dec()
			panic(v)
		}
		e.panicked(v, w.Header().Get("X-Request-Id"))
		if w.status == 0 {
			WriteError(w, call.Errorf(call.Internal, "internal error"), "")
		}
	}
	if w.detached {
		return
	}
	w.flush(r)
	w.release()
	if e.Wasted != nil && w.wasted(r) {
		e.Wasted(r)
	}
	e.ending(w, r).note(r.Context())
}

// ending is what is noted of a request at its end.
type ending struct {
	*Edge
	method, route string
	code          int
	start         time.Time
	who           budget.Who
	attrs         []slog.Attr // of its record, but for how long it took; nil where the call has a record of its own
}

func (e *Edge) ending(w *writer, r *http.Request) ending {
	return ending{e, methodLabel(r.Method), cmp.Or(w.route, "unmatched"), w.code(), w.start, w.who, e.attrs(w, r)}
}

func (n ending) note(ctx context.Context) {
	n.Meter.InFlight.Dec()
	d := time.Since(n.start)
	n.Meter.Request(n.method, n.route, n.code, d)
	if n.attrs != nil {
		n.log(ctx, append(n.attrs, slog.Float64("duration_ms", float64(d.Microseconds())/1000)))
	}
}

func (e *Edge) attrs(w *writer, r *http.Request) []slog.Attr {
	if w.exchange != nil && w.exchange.Recorded() {
		return nil
	}
	h := w.Header()
	return append(make([]slog.Attr, 0, 8),
		slog.String("request_id", h.Get("X-Request-Id")),
		slog.String("correlation_id", h.Get("X-Correlation-Id")),
		slog.String("trace_id", h.Get("X-Trace-Id")),
		slog.String("client", e.ClientIP(r)), slog.String("method", methodLabel(r.Method)),
		obs.Own("path", cmp.Or(w.route, "unmatched")), slog.Int("status", w.code()))
}

// log writes the record of a request, within the share of logs of whose it is.
func (n ending) log(ctx context.Context, attrs []slog.Attr) {
	if n.Budgets.Spend(n.who, budget.Logs, int64(obs.LineBytes(attrs))) == nil {
		n.Log.LogAttrs(ctx, levelOf(n.code), "request", attrs...)
	}
}

// levelOf is the level of a request's record by the class of its status.
func levelOf(status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case status >= http.StatusBadRequest:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// methodLabel keeps a caller from making metric labels up.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	default:
		return "other"
	}
}
