// Package server is the wired gateway: every part is made here, in order, and given
// what it needs of the others. Nothing is decided here.
package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/auth"
	"portcullis/gateway/budget"
	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/limit"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/oidc"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/policy"
	"portcullis/gateway/sink"
	"portcullis/gateway/sse"
	"portcullis/gateway/store/dir"
	"portcullis/gateway/store/firm"
	"portcullis/gateway/store/redis"
	"portcullis/gateway/transform"
	"portcullis/gateway/transform/native"
	"portcullis/gateway/vault"
	"portcullis/gateway/vaultapi"
	"portcullis/gateway/vaultpolicy"
)

// Options are what a gateway takes from the process that it runs in.
type Options struct {
	// Stdout receives the ready line, a JSON object with the addresses; required by Serve.
	Stdout io.Writer
	// Stderr receives log records beside the log files; required.
	Stderr *os.File
	// Hangups delivers SIGHUP; nil where nobody sends any.
	Hangups <-chan os.Signal
	// Reread reads the configuration again, on SIGHUP; nil where there is none to read.
	Reread func() (config.Config, error)
	// Stdio says that stdin and stdout carry the messages of one client: several such
	// processes may share their files.
	Stdio bool
	// Providers make more tools, resources and prompts for MCP clients, which do not
	// reach Vault; what they tell of goes into the log. Nil for the gateway itself.
	Providers func(*events.Log) []mcp.Provider
	// Version is what the gateway says of itself to MCP clients.
	Version string
}

// Server is every part of the gateway, wired once and never changed.
type Server struct {
	options      Options
	cfg          config.Config
	level        slog.LevelVar // of every log; SIGHUP changes it
	state        *dir.Dir      // what outlives this process
	firm         firm.Store    // what must not be lost
	revocations  revocations
	store        *redis.Store // what replicas share; nil for one gateway
	logs         *obs.Logs
	meter        *obs.Meter
	tracer       *obs.Tracer // nil without a collector
	health       *obs.Health
	audit        *audit.Log
	sinks        *sink.Sinks // where evidence is copied to
	anchors      anchors     // where its checkpoints are kept elsewhere
	vault        *vault.Client
	ops          *op.Catalogue
	auth         *auth.Authenticator
	policy       *policy.Engine
	budgets      *budget.Budgets
	work         *gate.Gate    // of requests and answers that are large
	presence     gate.Presence // callers whose requests go to Vault
	shortage     *shortage
	conns        *conns // of the callers' listener
	limit        *limit.Limiter
	baseRedactor *native.Redactor // of every log line
	transforms   *transform.Set
	results      map[string]*transform.Result // by operation
	shared       *redis.Events                // the events of all replicas; nil for one gateway
	places       *redis.Places                // of callers, at all replicas; nil for one gateway
	mcpSessions  *redis.Kept                  // of MCP, at all replicas; nil for one gateway
	notices      *redis.Questions             // of replicas to each other about them; nil for one gateway
	events       *events.Log
	sse          *sse.Server
	mcp          *mcp.Server
	issuer       *oidc.Issuer       // nil unless callers log in to Vault
	sessions     *vaultapi.Sessions // of the Vault API, nil without it
	calls        *pipeline.Pipeline
	edge         *edge.Edge
	leaving      atomic.Bool
	tunesGC      bool       // the operator has not set GOGC
	admin        *edge.Edge // health and metrics, when they have a listener of their own

	subscriptions sync.WaitGroup // to events, on connections that the HTTP server has given away
}

// New builds the gateway from a checked configuration. It connects to nothing. Its
// error names every problem at once.
func New(ctx context.Context, c config.Config, o Options) (g *Server, err error) {
	g = &Server{options: o, cfg: c, state: dir.New(c.StateDir), meter: obs.NewMeter(), budgets: budget.New(c.Limits), baseRedactor: native.New()}
	g.level.Set(level(c.LogLevel))
	if g.logs, err = obs.NewLogs(g.logConfig()); err != nil {
		return nil, err
	}
	if err := g.openCatalogue(); err != nil { // what all others ask for
		return nil, err
	}
	if err := errors.Join(
		// Each of these may ask those before it.
		g.openStore(), g.openEvidence(), g.openTracer(ctx), g.openTransforms(ctx), g.openPolicy(), g.openAuth(), g.openVault(),
	); err != nil {
		return nil, err
	}
	g.watchVault()
	g.gauges()
	g.boundConnections()
	g.takeTurns()
	g.shortage = newShortage(c.AuditFile, c.AuditMinFree)
	g.limit = limit.New(g.limitConfig())
	g.openStreams()
	g.calls = g.pipeline()
	g.health = &obs.Health{Vault: g.vault.Ready, Parts: g.parts()}
	if err := g.routes(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Server) openCatalogue() (err error) {
	m := g.find(Mounts(g.cfg))
	m.Explain = g.explain
	if g.ops, err = ops.New(m); err != nil {
		return err
	}
	g.results = resultsOf(g.ops)
	return nil
}

func (g *Server) openEvidence() (err error) {
	g.sinks, err = sink.New(g.sinkConfig())
	g.audit = audit.Open(g.auditConfig()) // which offers its lines to the sinks
	return errors.Join(err, g.openAnchors())
}

func (g *Server) openTracer(ctx context.Context) (err error) {
	g.tracer, err = obs.NewTracer(ctx, traceConfig(g.cfg, g.options.Version), g.logs.Server)
	return err
}

func (g *Server) openTransforms(ctx context.Context) (err error) {
	g.transforms, err = transform.Open(ctx, g.cfg.WASMManifest, transform.Options{
		CacheDir: g.cfg.WASMCacheDir, Known: Known(g.ops), BaseRedactor: g.baseRedactor, Log: g.logs.Server,
	})
	return err
}

func (g *Server) openPolicy() (err error) {
	c := PolicyConfig(g.cfg, g.ops, g.logs.Server)
	c.Transform, c.Budgets, c.Shared = g.nameable, g.budgets, g.sharedDecisions()
	g.policy, err = policy.Open(c)
	return err
}

func (g *Server) openAuth() (err error) {
	g.auth, err = auth.New(g.sharing(authConfig(g.cfg, g.logs.Server)))
	return err
}

func (g *Server) openVault() (err error) {
	c := vaultConfig(g.cfg, g.logs.Server)
	c.Load.Presence = &g.presence
	c.Budgets = g.budgets
	c.UseOf = g.ops.VaultUse
	c.Janitor.Allowed, c.Janitor.Ended = g.mayHold, g.auth.Revoked
	c.Anchor, c.Documents = vaultAnchor(g.cfg), vaultDocuments(g.cfg)
	c.Signing.Mount, c.Signing.Name = g.cfg.SigningKey()
	c.Upkeep = func(u vault.Upkeep) { g.audit.Upkeep(audit.Upkeep(u)) }
	c.RootToken = func() { g.warnOf(config.DangerOf(config.RootToken, "VAULT_TOKEN")) }
	c.Children.PolicyFor = CallerPolicies(vaultpolicy.Of(g.ops, g.policy), BasePrefix(g.cfg))
	c.Children.Engines = g.ops.Engines()
	c.Children.AsOf, c.Children.Claims = g.policy.AsOf, g.policy.Claims
	if err := g.logIns(&c); err != nil {
		return err
	}
	g.vault, err = vault.New(c)
	return err
}

// gauges measure what is there while it is there.
func (g *Server) gauges() {
	g.gaugeCertificates()
	g.gaugeCheckpoints()
	g.meter.Build(g.options.Version)
	g.budgets.Gauges(g.meter.Gauge)
	g.sinks.Gauges(g.meter.Gauge)
}

// withdrawn reports why a caller may be served no longer: its credential, or the session
// that stands for it.
func (g *Server) withdrawn(c *call.Caller) error {
	if err := g.auth.Withdrawn(c); err != nil {
		return err
	}
	return g.sessions.Withdrawn(c)
}

// pipeline fills the order of a call with its parts.
func (g *Server) pipeline() *pipeline.Pipeline {
	return &pipeline.Pipeline{
		Ops:       g.ops,
		Withdrawn: g.withdrawn,
		Rewrite:   g.rewrite,
		Decide:    g.policy.Decide,
		Plan:      g.obligations,
		Take:      g.limit.Take,
		TierOf:    g.policy.TierOf,
		Enter:     g.limit.Enter,
		Intent:    g.audit.Intent,
		Refusal:   g.audit.Refusal,
		Outcome:   g.audit.Outcome,
		Open:      g.vault.Open,
		Learn: func(c *call.Caller, out any) {
			op.Secrets(out, func(values ...string) { g.baseRedactor.LearnFor(c.Key(), values...) })
		},
		Undo:    ops.Undo,
		Publish: g.events.Record,
		Log:     obs.Recorder{Log: g.logs.Responses, Meter: g.meter, Trace: g.tracer, Spend: g.maySpendLog}.Record,
	}
}

// Run does the background work until ctx ends.
func (g *Server) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){
		g.audit.Run,
		g.runStore,
		g.keepRevocations,
		g.sinks.Run,
		g.keepAnchored,
		g.auth.Run,
		g.vault.Run,
		g.endRevoked,
		g.watchCertificates,
		g.policy.Watch,
		g.policy.RunShadow,
		g.reloadOnHangup,
		func(ctx context.Context) { g.transforms.Watch(ctx, watchEvery) },
		func(ctx context.Context) { g.events.Watch(ctx, time.Second) },
		g.watchExternalChanges,
		g.sessions.Run,
		g.saveMemory,
	} {
		wg.Go(func() { part(ctx) })
	}
	wg.Wait()
}

// watchEvery is how often files are looked at for changes.
const watchEvery = 2 * time.Second

// MCP is the MCP transport, for a client that is served without a listener.
func (g *Server) MCP() *mcp.Server { return g.mcp }

// EndStreams ends every stream of events.
func (g *Server) EndStreams() { g.events.Close() }

// Close lets everything go that is held.
func (g *Server) Close(ctx context.Context) error {
	g.anchorLast(ctx)
	if err := g.vault.Close(ctx); err != nil {
		g.logs.Server.Warn("the gateway's Vault token was not given back; it ends by itself", "cause", err)
	}
	if err := g.tracer.Close(ctx); err != nil {
		g.logs.Server.Warn("the last traces could not be sent", "cause", err)
	}
	err := errors.Join(g.policy.Close(), g.audit.Close())
	g.closeSinks(ctx)
	g.logs.Server.Info("the gateway has stopped")
	err = errors.Join(err, g.logs.Close())
	g.transforms.Close()
	return err
}

func level(s string) slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(s)) // the configuration has been checked
	return l
}
