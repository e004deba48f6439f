package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
	"portcullis/gateway/rest"
	"portcullis/gateway/vaultapi"
)

// routes mounts every transport. All of them end in g.calls.Do.
func (g *Server) routes() error {
	g.edge = edge.New(g.edgeConfig(g.cfg.Loopback()))
	g.admin = g.edge
	if g.cfg.AdminAddr != "" {
		g.admin = edge.New(g.adminEdgeConfig())
		g.mountAdmin()
		g.probes(g.edge)
	} else {
		g.edge.Public(http.MethodGet, "/metrics", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			g.meter.WritePublic(w) // anybody who reaches the callers' listener may ask
		})
	}
	g.probes(g.admin)
	if err := g.mountMCP(); err != nil {
		return err
	}
	g.mountStreams()
	g.edge.Public(http.MethodGet, "/.well-known/oauth-protected-resource", g.auth.ServeResourceMetadata)
	g.edge.Public(http.MethodGet, "/.well-known/oauth-protected-resource/*path", g.auth.ServeResourceMetadata)
	g.edge.Public(http.MethodGet, "/.well-known/oauth-authorization-server", g.auth.ServeServerMetadata)
	if g.issuer != nil {
		g.edge.Public(http.MethodGet, "/.well-known/openid-configuration", g.issuer.ServeDiscovery)
		g.edge.Public(http.MethodGet, "/oidc/jwks", g.issuer.ServeJWKS)
	}
	if g.cfg.ExposeVaultAPI {
		api := vaultapi.API{
			Catalogue: g.ops, Do: g.calls.Do, Admit: g.calls.Admit, Change: g.calls.Change, May: g.may, Wrapped: g.vault.Wrapping, Ready: g.vault.Ready, Sessions: g.sessions,
			Events: g.events, Topics: g.topics, KeepAlive: g.keepAlive(), Open: &g.subscriptions,
		}
		api.Mount(g.edge)
	}
	if !g.cfg.ExposeREST {
		return nil
	}
	g.edge.Optional(http.MethodGet, "/openapi.json", openapi.Handler(g.ops, g.policy.Over(op.REST).Callable, g.admitDocument))
	api := rest.API{Do: g.calls.Do, Admit: g.calls.Admit, Challenge: g.challenge, Limits: g.limits}
	return api.Mount(g.edge, g.ops)
}

// may reports whether a call could be allowed. Nothing is done with the decision.
func (g *Server) may(ctx context.Context, r *op.Request) (bool, error) {
	b, err := g.ops.Bind(r)
	if err != nil {
		return false, err
	}
	d := g.policy.Decide(ctx, b)
	return d.Allow, nil
}

// admitDocument takes a token for the document of what a caller can call, as for any list.
func (g *Server) admitDocument(w http.ResponseWriter, r *http.Request, c *call.Caller) bool {
	err := g.calls.Admit(r.Context(), &op.Request{
		ID: r.Header.Get("X-Request-Id"), Transport: op.REST, Op: "rest.openapi", Phase: op.PhaseList, Caller: c,
	})
	if err != nil {
		edge.WriteError(w, err, "")
	}
	return err == nil
}

func (g *Server) probes(e *edge.Edge) {
	e.Probe("/healthz", g.health.Healthz)
	e.Probe("/livez", g.health.Livez)
	e.Probe("/readyz", g.health.Readyz)
}

func (g *Server) edgeConfig(loopback bool) edge.Config {
	return edge.Config{
		Authenticate: g.authenticate(), Challenge: g.challenge, Errors: g.errors,
		Refused: g.refused, Missed: g.missed,
		Anonymous: func(err error) bool { return errors.Is(err, rule.NoCredential) },
		ClientIP:  func(r *http.Request) string { return g.auth.SourceIP(r).String() },
		Crowded:   g.conns.crowded, Known: known, Wasted: wasted,
		Source: g.auth.SourceIP, Scheme: g.auth.Scheme, Budgets: g.budgets, Work: g.work, Short: g.shortage.check,
		MaxBody: g.cfg.MaxBodyBytes, BodyTimeout: 30 * time.Second,
		Loopback: loopback, AllowedHosts: g.cfg.AllowedHosts, Origins: g.cfg.CORSOrigins, PublicURL: g.cfg.PublicURL,
		Log: g.logs.Requests, LogAll: g.cfg.LogRequests == "all", Server: g.logs.Server, Meter: g.meter,
	}
}

// adminEdgeConfig is that of the administrators' listener. What callers have used up, and
// that memory or disk runs out, is no reason to refuse those who look into it.
func (g *Server) adminEdgeConfig() edge.Config {
	c := g.edgeConfig(g.cfg.AdminLoopback())
	c.Budgets, c.Short, c.Work, c.Crowded = budget.New(g.cfg.Limits), nil, nil, nil
	return c
}

// authenticate tells whose request it is. A session of the Vault API is known there only.
func (g *Server) authenticate() func(*http.Request) (*call.Caller, error) {
	if !g.cfg.ExposeVaultAPI {
		return g.sse.Authenticate(g.auth.Authenticate)
	}
	if g.sessions == nil {
		g.sessions = &vaultapi.Sessions{Login: g.auth.Authenticate, Resume: g.auth.Resume, Valid: g.auth.Valid, Budgets: g.budgets, Shared: g.sharedTokens()}
	}
	return g.sse.Authenticate(g.sessions.Authenticate)
}

// errors is the form of a request's errors.
func (g *Server) errors(r *http.Request) edge.ErrorWriter {
	if !g.cfg.ExposeVaultAPI {
		return nil
	}
	return vaultapi.Errors(r)
}

// challenge asks for a credential, or for a better one. The metadata document of
// the MCP endpoint applies below its path.
func (g *Server) challenge(r *http.Request, err *call.Error) string {
	resource := ""
	if strings.HasPrefix(r.URL.Path, "/mcp") {
		resource = "/mcp"
	}
	return g.auth.Challenge(r, err, resource)
}

// limits says what is left in the bucket that a call has charged
// (draft-ietf-httpapi-ratelimit-headers).
func (g *Server) limits(h http.Header, c *call.Caller, r *op.Result) {
	f, ok := g.limit.Facts(c, r.Tier)
	if !ok {
		return
	}
	b := make([]byte, 0, 96)
	b = strconv.AppendQuote(b, f.Policy)
	name := len(b)
	b = strconv.AppendInt(append(b, ";q="...), int64(f.Quota), 10)
	b = strconv.AppendInt(append(b, ";w="...), int64(f.Window.Seconds()), 10)
	policy := len(b)
	b = append(b, b[:name]...)
	b = strconv.AppendInt(append(b, ";r="...), int64(f.Remaining), 10)
	b = strconv.AppendInt(append(b, ";t="...), int64(f.Reset.Seconds()+0.999), 10)
	text := string(b)
	values := []string{text[:policy], text[policy:]}
	h["Ratelimit-Policy"], h["Ratelimit"] = values[:1:1], values[1:]
}
