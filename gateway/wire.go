package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/auth"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/limit"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
	"portcullis/gateway/ops"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/policy"
	"portcullis/gateway/rest"
	"portcullis/gateway/sse"
	"portcullis/gateway/transform"
	"portcullis/gateway/transform/native"
	"portcullis/gateway/vault"
	"portcullis/gateway/vaultpolicy"
)

// gateway is every part, wired once and never changed.
type gateway struct {
	cfg        config.Config
	logs       *obs.Logs
	meter      *obs.Meter
	health     *obs.Health
	audit      *audit.Log
	vault      *vault.Client
	ops        *op.Catalogue
	auth       *auth.Chain
	policy     *policy.Engine
	limit      *limit.Limiter
	floor      *native.Redactor // under every log line
	transforms *transform.Set
	events     *events.Log
	sse        *sse.Server
	mcp        *mcp.Server
	calls      *pipeline.Pipeline
	edge       *edge.Edge
	hangups    chan os.Signal // nil where nobody sends any
	admin      *edge.Edge     // health and metrics, when they have a listener of their own
}

// wire builds the gateway from a checked configuration. It connects to nothing.
func wire(ctx context.Context, c config.Config, stderr *os.File) (g *gateway, err error) {
	g = &gateway{cfg: c, meter: obs.NewMeter(), floor: native.New()}
	if g.logs, err = obs.NewLogs(obs.LogConfig{Dir: c.LogDir, Level: level(c.LogLevel), Stderr: stderr, Filter: g.redactLog}); err != nil {
		return nil, err
	}
	g.audit = audit.Open(audit.Config{Path: c.AuditFile, Group: c.AuditSync == "group", Filter: g.redactEvidence})
	m := mounts(c)
	m.Explain = g.explain
	if g.ops, err = ops.New(m); err != nil {
		return nil, err
	}
	var problems [4]error
	g.transforms, problems[3] = transform.Open(ctx, c.WASMManifest, transform.Options{CacheDir: c.WASMCacheDir, Floor: g.floor, Log: g.logs.Server})
	pc := policyConfig(c, g.ops, g.logs.Server)
	pc.Transform = g.nameable
	g.policy, problems[0] = policy.Open(pc)
	g.auth, problems[1] = auth.New(authConfig(c, g.logs.Server))
	vc := vaultConfig(c, g.logs.Server)
	vc.Guard.Allowed, vc.Guard.Ended = g.mayHold, g.auth.Revoked
	vc.Children.PolicyFor = policies(vaultpolicy.Of(g.ops, g.policy), basePrefix(c))
	g.vault, problems[2] = vault.New(vc)
	if err := errors.Join(problems[:]...); err != nil {
		return nil, err
	}
	g.watchVault()
	g.limit = limit.New(limit.Config{Tier: g.policy.Tier, Enabled: c.RateEnabled})
	g.openStreams()
	g.calls = g.pipeline()
	g.health = &obs.Health{Vault: g.vault.Ready, Parts: map[string]func() obs.Part{"policy": g.policyPart, "auth": g.authPart, "audit": g.auditPart, "transforms": g.transformPart}}
	if err := g.routes(); err != nil {
		return nil, err
	}
	return g, nil
}

// pipeline fills the order of a call with its parts.
func (g *gateway) pipeline() *pipeline.Pipeline {
	return &pipeline.Pipeline{
		Ops:     g.ops,
		Rewrite: g.rewrite,
		Decide:  g.policy.Decide,
		Plan:    g.obligations,
		Take:    g.limit.Take,
		Hold: func(b *op.Bound, d *op.Decision) (func(), error) {
			return g.limit.Hold(b.Caller, d.Tier, limit.Running)
		},
		Intent:  g.audit.Intent,
		Refusal: g.audit.Refusal,
		Outcome: g.audit.Outcome,
		Open:    g.vault.Open,
		Learn:   func(out any) { op.Secrets(out, g.floor.Learn) },
		Undo:    ops.Undo,
		Publish: g.events.Record,
		Log:     obs.Recorder{Log: g.logs.Responses, Meter: g.meter}.Record,
	}
}

// routes mounts every transport. All of them end in g.calls.Do.
func (g *gateway) routes() error {
	g.edge = edge.New(g.edgeConfig(g.cfg.Loopback()))
	g.admin = g.edge
	if g.cfg.AdminAddr != "" {
		g.admin = edge.New(g.edgeConfig(g.cfg.AdminLoopback()))
		g.admin.Handle(http.MethodGet, "/decisions/:id/trace", g.trace)
		g.probes(g.edge)
	}
	g.probes(g.admin)
	g.admin.Public(http.MethodGet, "/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		g.meter.WritePrometheus(w)
	})
	g.mcp = mcp.New(mcp.Config{
		Catalogue: g.ops, Do: g.calls.Do, Callable: g.policy.Callable, Names: g.policy.Names, Version: version,
		ToolNames: g.cfg.MCPToolNames, Compat: g.cfg.MCPRPCCompat, KVMount: g.cfg.KVMount, Challenge: g.challenge,
		Events: g.events, KeepAlive: g.keepAlive(), Revision: g.policy.Revision, Failed: func(err error) { g.logs.Server.Error("panic in a method", "cause", err) },
	})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		g.edge.Handle(method, "/mcp", g.mcp.ServeMCP)
	}
	g.edge.Handle(http.MethodPost, "/mcp/rpc", g.mcp.ServeRPC)
	g.mountStreams()
	g.edge.Public(http.MethodGet, "/.well-known/oauth-protected-resource", g.auth.ServeResourceMetadata)
	g.edge.Public(http.MethodGet, "/.well-known/oauth-protected-resource/*path", g.auth.ServeResourceMetadata)
	g.edge.Public(http.MethodGet, "/.well-known/oauth-authorization-server", g.auth.ServeServerMetadata)
	if !g.cfg.ExposeREST {
		return nil
	}
	g.edge.Optional(http.MethodGet, "/openapi.json", openapi.Handler(g.ops, g.mayList))
	api := rest.API{Do: g.calls.Do, Challenge: g.challenge, Limits: g.limits}
	return api.Mount(g.edge, g.ops)
}

func (g *gateway) probes(e *edge.Edge) {
	e.Public(http.MethodGet, "/healthz", g.health.Healthz)
	e.Public(http.MethodGet, "/livez", g.health.Livez)
	e.Public(http.MethodGet, "/readyz", g.health.Readyz)
}

func (g *gateway) edgeConfig(loopback bool) edge.Config {
	return edge.Config{
		Authenticate: g.sse.Authenticate(g.auth.Authenticate), Challenge: g.challenge,
		Anonymous: func(err error) bool { return errors.Is(err, rule.NoCredential) },
		ClientIP:  func(r *http.Request) string { return g.auth.SourceIP(r).String() },
		MaxBody:   g.cfg.MaxBodyBytes, BodyTimeout: 30 * time.Second,
		Loopback: loopback, AllowedHosts: g.cfg.AllowedHosts, Origins: g.cfg.CORSOrigins,
		Log: g.logs.Requests, Server: g.logs.Server, Meter: g.meter,
	}
}

// challenge asks for a credential, or for a better one. The metadata document of
// the MCP endpoint applies below its path.
func (g *gateway) challenge(r *http.Request, err *call.Error) string {
	resource := ""
	if strings.HasPrefix(r.URL.Path, "/mcp") {
		resource = "/mcp"
	}
	return g.auth.Challenge(r, err, resource)
}

// mayList reports whether an operation is in the document that a caller gets. Who
// has not said who it is gets them all: the catalogue is no secret.
func (g *gateway) mayList(ctx context.Context, c *call.Caller, o *op.Op) bool {
	return c == nil || g.policy.Callable(ctx, c, o)
}

// explain tells a caller about its own decision.
func (g *gateway) explain(c *call.Caller, id string) (ops.Explanation, error) {
	e, err := g.policy.Explain(c, id)
	return ops.Explanation{
		DecisionID: e.ID, Time: e.Time.UTC().Format(time.RFC3339Nano), Op: e.Op, Path: e.Path, Allow: e.Allow, Code: e.Code,
		Reasons: e.Reasons, RequiredScopes: e.RequiredScopes, Tier: e.Tier, Deliver: string(e.Deliver),
	}, err
}

// limits says what is left in the bucket that a call has charged
// (draft-ietf-httpapi-ratelimit-headers).
func (g *gateway) limits(h http.Header, c *call.Caller, r *op.Result) {
	f, ok := g.limit.Facts(c, r.Tier)
	if !ok {
		return
	}
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", f.Policy, f.Quota, int(f.Window.Seconds())))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", f.Policy, f.Remaining, int(f.Reset.Seconds()+0.999)))
}

// run does the background work until ctx ends.
func (g *gateway) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){
		g.auth.Run,
		g.vault.Run,
		g.endRevoked,
		g.policy.Watch,
		g.policy.RunShadow,
		g.reloadOnHangup,
		func(ctx context.Context) { g.transforms.Watch(ctx, watchEvery) },
		func(ctx context.Context) { g.events.Watch(ctx, time.Second) },
		g.outside,
	} {
		wg.Go(func() { part(ctx) })
	}
	wg.Wait()
}

// watchEvery is how often files are looked at for changes.
const watchEvery = 2 * time.Second

func (g *gateway) policyPart() obs.Part {
	s := g.policy.Status()
	if s.Expired {
		return obs.Part{Detail: "the newest policy has been refused for too long: every call is denied"}
	}
	if s.LastError != "" {
		return obs.Part{OK: true, Detail: "serving revision " + s.Revision + "; the newest policy was refused, the log says why"}
	}
	if len(s.Unfulfilled) > 0 {
		return obs.Part{OK: true, Detail: "revision " + s.Revision + "; it asks for a transform that is not to be had, so some calls are refused, the log says which"}
	}
	return obs.Part{OK: true, Detail: "revision " + s.Revision}
}

func (g *gateway) authPart() obs.Part {
	if err := g.auth.Health(); err != nil {
		return obs.Part{OK: true, Detail: "degraded: a key, a list or a certificate could not be read again, the log says why"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

func (g *gateway) auditPart() obs.Part {
	if err := g.audit.Check(); err != nil {
		return obs.Part{Detail: "the audit file cannot be opened"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

func (g *gateway) transformPart() obs.Part {
	s := g.transforms.Status()
	if !s.Ready() {
		return obs.Part{OK: true, Detail: "degraded: a module is in quarantine or could not be loaded"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

// redactLog passes a line of a log through the redactor and the modules of the log
// hook, which may drop it. Before they are loaded only the start is logged.
func (g *gateway) redactLog(dst, line []byte) ([]byte, bool) {
	if g.transforms == nil {
		return append(dst, line...), true
	}
	return g.transforms.Line(dst, line)
}

// redactEvidence is redactLog for records that nothing may drop.
func (g *gateway) redactEvidence(dst, line []byte) []byte { return g.transforms.Record(dst, line) }

// close lets everything go that is held.
func (g *gateway) close(ctx context.Context) error {
	if err := g.vault.Close(ctx); err != nil {
		g.logs.Server.Warn("the gateway's Vault token was not given back; it ends by itself", "cause", err)
	}
	err := errors.Join(g.policy.Close(), g.audit.Close(), g.logs.Close())
	g.transforms.Close()
	return err
}

func level(s string) slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(s)) // the configuration has been checked
	return l
}
