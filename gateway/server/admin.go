package server

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/files"
	"portcullis/gateway/op"
)

// adminRoute is a route of the administrators' listener. Its scope is one that no key
// or token has unless it was given it.
type adminRoute struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Scope  string `json:"scope"`
	Doc    string `json:"doc"`
	serve  edge.Handler
	change func(*http.Request, *call.Caller) (change, error) // of one that changes something, in the place of serve
}

// adminRoutes is everything that administrators can ask a running gateway.
func (g *Server) adminRoutes() []adminRoute {
	return []adminRoute{
		{Method: "GET", Path: "/metrics", Scope: "admin:metrics", Doc: "metrics for Prometheus", serve: g.serveMetrics},
		{Method: "GET", Path: "/debug/pprof/*path", Scope: "admin:pprof", Doc: "profiles of the process, as net/http/pprof has them", serve: g.serveProfile},
		{Method: "GET", Path: "/policy", Scope: "admin:policy", Doc: "the policy in force, and why a newer one is not", serve: g.servePolicy},
		{Method: "GET", Path: "/leases", Scope: "admin:leases", Doc: "the leases of all callers", serve: g.serveLeases},
		{Method: "POST", Path: "/revoke", Scope: "admin:revoke", Doc: `{"subject","tenant","until","reason"}: shut a caller out and revoke what it holds in Vault`, change: g.revokeCaller},
		{Method: "POST", Path: "/readmit", Scope: "admin:revoke", Doc: `{"subject","tenant"}: let a caller in again that /revoke has shut out`, change: g.readmitCaller},
		{Method: "GET", Path: "/log-level", Scope: "admin:log", Doc: "the level of the logs", serve: g.serveLevel},
		{Method: "PUT", Path: "/log-level", Scope: "admin:log", Doc: `{"level":"debug|info|warn|error"}: until the restart, or SIGHUP with another LOG_LEVEL`, change: g.changeLevel},
		{Method: "GET", Path: "/checkpoint", Scope: "admin:evidence", Doc: "the newest signed checkpoint of the evidence", serve: g.serveCheckpoint},
		{Method: "GET", Path: "/sinks", Scope: "admin:evidence", Doc: "the state of the audit sinks", serve: g.serveSinks},
		{Method: "GET", Path: "/decisions/:id/trace", Scope: traceScope, Doc: "how the policy came to a decision", serve: g.trace},
	}
}

// mountAdmin mounts them, and the list of them for whoever is authenticated.
func (g *Server) mountAdmin() {
	routes := g.adminRoutes()
	for _, r := range routes {
		if r.Path == "/metrics" && g.cfg.AdminMetrics {
			g.admin.Public(r.Method, r.Path, func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, nil) })
			continue
		}
		g.admin.Handle(r.Method, r.Path, g.administer(r))
	}
	g.admin.Handle(http.MethodGet, "/", func(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
		writeJSON(w, map[string]any{"routes": routes})
	})
}

// name is what evidence calls the route: its path up to a parameter.
func (r adminRoute) name() string {
	path, _, _ := strings.Cut(r.Path, "/:")
	path, _, _ = strings.Cut(path, "/*")
	return "admin." + strings.Trim(path, "/")
}

// administer demands the scope of a route, and puts on record before it is done or
// answered what changes something, and who lacks the scope.
func (g *Server) administer(r adminRoute) edge.Handler {
	return func(w http.ResponseWriter, req *http.Request, c *call.Caller) {
		asked := &op.Request{ID: req.Header.Get("X-Request-Id"), Transport: op.REST, Op: r.name(), Caller: c}
		if !c.HasScope(r.Scope) {
			e := call.Errorf(call.InsufficientScope, "the credential lacks a scope that this needs")
			e.Scopes = []string{r.Scope}
			asked.Bad = e
		}
		switch {
		case r.change != nil:
			g.change(w, req, r, asked)
		case asked.Bad != nil:
			edge.WriteError(w, g.calls.Admit(req.Context(), asked), "")
		default:
			r.serve(w, req, c)
		}
	}
}

// writeJSON answers with a value that can be encoded.
func writeJSON(w http.ResponseWriter, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		edge.WriteError(w, err, "")
		return
	}
	edge.WriteJSON(w, http.StatusOK, raw)
}

func (g *Server) serveMetrics(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	g.meter.WritePrometheus(w)
}

// maxProfile bounds how long a profile is taken: it slows every call.
const maxProfile = 60

// serveProfile serves the profiles by name; cmdline is not served.
func (g *Server) serveProfile(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
	if text := r.FormValue("seconds"); text != "" {
		if n, err := strconv.ParseFloat(text, 64); err != nil || !(n > 0 && n <= maxProfile) {
			edge.WriteError(w, call.Errorf(call.InvalidRequest, "seconds must be a number up to %d", maxProfile), "")
			return
		}
	}
	switch name := r.PathValue("path"); name {
	case "":
		writeJSON(w, map[string]any{"profiles": []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate", "profile", "trace"}})
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "allocs", "block", "goroutine", "heap", "mutex", "threadcreate":
		pprof.Handler(name).ServeHTTP(w, r)
	default:
		edge.WriteError(w, call.Errorf(call.NotFound, "no such profile"), "")
	}
}

func (g *Server) servePolicy(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
	s := g.policy.Status()
	body := map[string]any{
		"revision": s.Revision, "loaded_at": s.LoadedAt.UTC().Format(time.RFC3339), "stale": s.Stale, "expired": s.Expired,
		"last_error": s.LastError, "unfulfilled": orEmpty(s.Unfulfilled), "removed": orEmpty(s.Removed),
	}
	if s.Shadow.Configured {
		body["shadow"] = map[string]any{"revision": s.Shadow.Revision, "last_error": s.Shadow.LastError}
	}
	writeJSON(w, body)
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// serveLeases lists leases without the ids, with which anybody could renew them.
func (g *Server) serveLeases(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
	all, err := g.vault.Inventory(r.Context())
	if err != nil {
		edge.WriteError(w, err, "")
		return
	}
	rows := make([]map[string]any, 0, len(all))
	for _, h := range all {
		rows = append(rows, map[string]any{
			"caller": h.Caller, "on_behalf_of": h.OnBehalfOf, "role": h.Role, "lease_id_suffix": suffix(h.ID),
			"issued": h.Issued.Format(time.RFC3339), "expires": h.Expires.Format(time.RFC3339),
		})
	}
	writeJSON(w, map[string]any{"leases": rows})
}

func suffix(id string) string { return id[max(0, len(id)-8):] }

func (g *Server) serveLevel(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
	writeJSON(w, g.levelNow())
}

func (g *Server) serveCheckpoint(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
	text, err := files.Read(audit.Beside(g.cfg.AuditFile, "checkpoint"))
	if err != nil {
		edge.WriteError(w, call.Wrap(call.NotFound, "there is no checkpoint yet", err), "")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text) // the reader is gone when this fails
}

func (g *Server) serveSinks(w http.ResponseWriter, _ *http.Request, _ *call.Caller) {
	rows := []map[string]any{}
	for _, s := range g.sinks.Status() {
		row := map[string]any{
			"sink": s.Name, "up": s.Up, "waiting_lines": s.Waiting, "memory_bytes": s.Memory, "spool_bytes": s.Disk,
			"sent_lines": s.Sent, "lost_lines": s.Lost, "failures": s.Failures, "error": s.Err,
		}
		if !s.Up {
			row["down_since"] = s.Since.UTC().Format(time.RFC3339)
		}
		rows = append(rows, row)
	}
	writeJSON(w, map[string]any{"sinks": rows})
}
