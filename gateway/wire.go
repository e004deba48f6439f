package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/auth"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/edge"
	"portcullis/gateway/limit"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/policy"
	"portcullis/gateway/rest"
	"portcullis/gateway/vault"
)

// gateway is every part, wired once and never changed.
type gateway struct {
	cfg    config.Config
	logs   *obs.Logs
	meter  *obs.Meter
	health *obs.Health
	audit  *audit.Log
	vault  *vault.Client
	ops    *op.Catalogue
	auth   *auth.Chain
	policy *policy.Engine
	limit  *limit.Limiter
	calls  *pipeline.Pipeline
	edge   *edge.Edge
	admin  *edge.Edge // health and metrics, when they have a listener of their own
}

// wire builds the gateway from a checked configuration. It connects to nothing.
func wire(c config.Config) (g *gateway, err error) {
	g = &gateway{cfg: c, meter: obs.NewMeter()}
	if g.logs, err = obs.NewLogs(obs.LogConfig{Dir: c.LogDir, Level: level(c.LogLevel), Stderr: os.Stderr}); err != nil {
		return nil, err
	}
	g.audit = audit.Open(c.AuditFile, c.AuditSync == "group")
	if g.ops, err = ops.New(ops.Mounts{KV: c.KVMount, Transit: "transit", Database: "database", SSH: "ssh"}); err != nil {
		return nil, err
	}
	var problems [3]error
	g.vault, problems[0] = vault.New(vaultConfig(c))
	g.auth, problems[1] = auth.New(authConfig(c, g.logs.Server))
	g.policy, problems[2] = policy.Open(policyConfig(c, g.ops, g.logs.Server))
	if err := errors.Join(problems[:]...); err != nil {
		return nil, err
	}
	g.limit = limit.New(limit.Config{Tier: g.policy.Tier, Enabled: c.RateEnabled})
	g.calls = g.pipeline()
	g.health = &obs.Health{Vault: g.vault.Ready, Parts: map[string]func() obs.Part{"policy": g.policyPart, "audit": g.auditPart}}
	if err := g.routes(); err != nil {
		return nil, err
	}
	return g, nil
}

// pipeline fills the order of a call with its parts.
func (g *gateway) pipeline() *pipeline.Pipeline {
	return &pipeline.Pipeline{
		Ops:     g.ops,
		Decide:  g.policy.Decide,
		Take:    g.limit.Take,
		Intent:  g.audit.Intent,
		Refusal: g.audit.Refusal,
		Outcome: g.audit.Outcome,
		Open:    g.vault.Open,
		Log:     obs.Recorder{Log: g.logs.Responses, Meter: g.meter}.Record,
	}
}

// routes mounts every transport. All of them end in g.calls.Do.
func (g *gateway) routes() error {
	g.edge = edge.New(g.edgeConfig())
	g.admin = g.edge
	if g.cfg.AdminAddr != "" {
		g.admin = edge.New(g.edgeConfig())
		g.probes(g.edge)
	}
	g.probes(g.admin)
	g.admin.Public(http.MethodGet, "/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		g.meter.WritePrometheus(w)
	})
	m := mcp.New(mcp.Config{
		Catalogue: g.ops, Do: g.calls.Do, Callable: g.policy.Callable, Version: version,
		ToolNames: g.cfg.MCPToolNames, Compat: g.cfg.MCPRPCCompat, KVMount: g.cfg.KVMount,
	})
	g.edge.Handle(http.MethodPost, "/mcp", m.ServeMCP)
	g.edge.Handle(http.MethodPost, "/mcp/rpc", m.ServeRPC)
	if !g.cfg.ExposeREST {
		return nil
	}
	api := rest.API{Do: g.calls.Do, Challenge: g.auth.Challenge}
	return api.Mount(g.edge, g.ops)
}

func (g *gateway) probes(e *edge.Edge) {
	e.Public(http.MethodGet, "/healthz", g.health.Healthz)
	e.Public(http.MethodGet, "/livez", g.health.Livez)
	e.Public(http.MethodGet, "/readyz", g.health.Readyz)
}

func (g *gateway) edgeConfig() edge.Config {
	return edge.Config{
		Authenticate: g.auth.Authenticate, Challenge: g.auth.Challenge,
		ClientIP: func(r *http.Request) string { return g.auth.SourceIP(r).String() },
		MaxBody:  g.cfg.MaxBodyBytes, BodyTimeout: 30 * time.Second,
		Loopback: g.cfg.Loopback(), AllowedHosts: g.cfg.AllowedHosts, Origins: g.cfg.CORSOrigins,
		Log: g.logs.Requests, Server: g.logs.Server, Meter: g.meter,
	}
}

func (g *gateway) policyPart() obs.Part {
	s := g.policy.Status()
	if s.LastError != "" {
		return obs.Part{OK: true, Detail: "serving revision " + s.Revision + "; the newest policy was refused: " + s.LastError}
	}
	return obs.Part{OK: true, Detail: "revision " + s.Revision}
}

func (g *gateway) auditPart() obs.Part {
	if err := g.audit.Check(); err != nil {
		return obs.Part{Detail: "the audit file cannot be opened"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

// close lets everything go that is held.
func (g *gateway) close(ctx context.Context) error {
	return errors.Join(g.vault.Close(ctx), g.audit.Close(), g.logs.Close())
}

func level(s string) slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(s)) // the configuration has been checked
	return l
}
