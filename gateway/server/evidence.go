package server

import (
	"log/slog"
	"net/http"
	"net/netip"

	"portcullis/gateway/audit"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/rest"
)

// auditConfig is what the evidence is configured with. What it holds of arguments has
// been through the base redactor without what was learned, value by value.
func (g *Server) auditConfig() audit.Config {
	return audit.Config{
		Path: g.cfg.AuditFile, Group: g.cfg.AuditSync == "group", Share: g.options.Stdio,
		Redact: g.baseRedactor.AppendValue, Filter: g.filterEvidence, Ended: g.refusalsEnded, Written: g.sinks.Offer, Spend: g.spendEvidence,
		Signer: g.evidenceSigner(), Signed: g.signed, Sign: g.cfg.AuditFile != audit.Stdout, SignKey: g.cfg.AuditSignKey,
		Unsigned: func(err error) { g.logs.Server.Error("evidence is not signed: no new checkpoint", "cause", err) },
		Untiled:  func(err error) { g.logs.Server.Warn("a part of the tree over the evidence is missing", "cause", err) },
		Segments: audit.Segments{
			MaxBytes: g.cfg.AuditMaxBytes, MaxAge: g.cfg.AuditMaxAge, Keep: g.cfg.AuditKeep, Compress: g.cfg.AuditCompress,
		},
	}
}

func (g *Server) spendEvidence(c *call.Caller, bytes int) error {
	return g.budgets.Spend(budget.Of(c), budget.Evidence, int64(bytes))
}

func (g *Server) maySpendLog(c *call.Caller, bytes int) bool {
	return g.budgets.Spend(budget.Of(c), budget.Logs, int64(bytes)) == nil
}

// filterLog passes a line of a log through the modules of the log hook, which may
// drop it. Before they are loaded only the start is logged.
func (g *Server) filterLog(dst, line []byte) ([]byte, bool) {
	if g.transforms == nil {
		return append(dst, line...), true
	}
	return g.transforms.Log(dst, line)
}

// filterEvidence is filterLog for records that nothing may drop.
func (g *Server) filterEvidence(dst, line []byte) []byte { return g.transforms.Record(dst, line) }

// refused counts a request whose sender is not known. The first of an address and a
// window is logged at once, and the count when the window ends.
func (g *Server) refused(r *http.Request, err *call.Error, requestID string) {
	addr := network(g.auth.SourceIP(r))
	if !g.audit.Unauthenticated(addr, string(err.Code), string(rule.Of(err))) {
		return
	}
	level := slog.LevelWarn
	if rule.Of(err) == rule.NoCredential {
		level = slog.LevelInfo // clients of OAuth begin without a credential
	}
	g.logs.Server.LogAttrs(r.Context(), level, "authentication refused",
		slog.String("code", string(err.Code)), slog.Any("cause", err.Err),
		slog.String("client", addr), slog.String("request_id", requestID))
}

// missed puts a caller's request on record that leads to no route, and returns what
// it is answered with.
func (g *Server) missed(r *http.Request, c *call.Caller, err *call.Error) *call.Error {
	return call.AsError(g.calls.Admit(r.Context(), &op.Request{
		ID: r.Header.Get("X-Request-Id"), Transport: op.REST, Op: rest.Missed, Caller: c, Bad: err,
	}))
}

// network is an address as it is counted: whoever has one of IPv6 has as many as they
// like, but one network (RFC 6177).
func network(a netip.Addr) string {
	if a = a.Unmap(); !a.Is6() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// connectionFailed counts a connection that ended because of what came over it before
// anybody was known, and says whether it is the first of its address and window.
func (g *Server) connectionFailed(addr, rule string) (first bool) {
	if a, err := netip.ParseAddr(addr); err == nil {
		addr = network(a)
	}
	return g.audit.Unauthenticated(addr, string(call.Unauthenticated), rule)
}

// Authenticate tells whose request it is, as the listener would; one that is refused
// is on record. Its errors are *call.Error.
func (g *Server) Authenticate(r *http.Request) (*call.Caller, error) {
	c, err := g.auth.Authenticate(r)
	if err != nil {
		g.refused(r, call.AsError(err), "")
	}
	return c, err
}

// refusalsEnded logs the count of an address when its window ends; that of a caller
// is evidence alone.
func (g *Server) refusalsEnded(r audit.Refusals) {
	if r.Addr == "" || r.Count < 2 {
		return
	}
	g.logs.Server.Warn("authentication refused again and again", "client", r.Addr,
		"count", r.Count, "seconds", int(r.Window.Seconds()+0.5), "rules", r.Rules)
}
