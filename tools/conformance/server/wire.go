package main

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/limit"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/policy"
	"portcullis/gateway/vault"
	"portcullis/tools/conformance/fixtures"
)

// wired is the gateway as the suite meets it.
type wired struct {
	edge   *edge.Edge
	events *events.Log
	audit  *audit.Log
	ops    *op.Catalogue
	policy *policy.Engine
	calls  *pipeline.Pipeline
	me     *call.Caller
}

// kvMount is where the dev Vault has its secrets.
const kvMount = "secret"

func wire(vaultAddr, token, dir string) (*wired, error) {
	w := &wired{audit: audit.Open(audit.Config{Path: filepath.Join(dir, "audit.jsonl")})}
	prefix, err := call.ParsePath("mcp/conformance")
	if err != nil {
		return nil, err
	}
	w.me = &call.Caller{
		Subject: "conformance", Kind: "service", Prefix: prefix, Method: call.APIKey,
		Scopes: []string{"read", "write", "delete", "list"},
	}
	if w.ops, err = catalogue(); err != nil {
		return nil, err
	}
	v, err := vault.New(vault.Config{Addr: vaultAddr, Timeout: 10 * time.Second, Login: vault.Login{Token: call.Secret(token)}})
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	w.policy, err = policy.Open(policy.Config{
		Catalogue: w.ops, Logger: quiet, Timeout: 250 * time.Millisecond,
		StandardRequests: 100_000, StandardWindow: time.Minute, // the suite is not what the limits are for
	})
	if err != nil {
		return nil, err
	}
	meter := obs.NewMeter()
	w.events = events.New(events.Config{Allow: w.mayHear})
	w.calls = &pipeline.Pipeline{
		Ops: w.ops, Decide: w.policy.Decide, Take: limit.New(limit.Config{Tier: w.policy.Tier, Enabled: true}).Take,
		Intent: w.audit.Intent, Refusal: w.audit.Refusal, Outcome: w.audit.Outcome,
		Open: v.Open, Publish: w.events.Record, Log: obs.Recorder{Log: quiet, Meter: meter}.Record,
	}
	w.mount(quiet, meter)
	return w, nil
}

func (w *wired) mount(quiet *slog.Logger, meter *obs.Meter) {
	w.edge = edge.New(edge.Config{
		Authenticate: func(*http.Request) (*call.Caller, error) { return w.me, nil },
		ClientIP:     func(r *http.Request) string { return r.RemoteAddr },
		MaxBody:      1 << 20, BodyTimeout: 30 * time.Second, Loopback: true,
		Log: quiet, Server: quiet, Meter: meter,
	})
	c := mcp.Config{
		Catalogue: w.ops, Do: w.calls.Do, Callable: w.callable, KVMount: kvMount, Version: "conformance", Events: w.events,
		Providers: []mcp.Provider{fixtures.New(w.admit, w.events)},
	}
	m := mcp.New(c)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		w.edge.Handle(method, "/mcp", m.ServeMCP)
	}
	w.edge.Handle(http.MethodPost, "/mcp/rpc", m.ServeRPC)
}

// fixture is the operation that a use of a fixture is decided and recorded as.
const fixture = "self.fixture"

type fixtureIn struct {
	Name call.Name `json:"name" jsonschema:"the fixture"`
}

// Target implements op.Target.
func (*fixtureIn) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

type fixtureOut struct {
	OK bool `json:"ok" jsonschema:"always true"`
}

// catalogue is the gateway's own and the one operation behind the fixtures.
func catalogue() (*op.Catalogue, error) {
	own, err := ops.New(ops.Mounts{KV: kvMount, Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		return nil, err
	}
	use := op.New(op.Spec{
		Name: fixture, Engine: "self", Effect: op.Read, Title: "Use a fixture", Doc: "Use a fixture of the conformance suite.",
	}, func(context.Context, *vault.Session, fixtureIn) (fixtureOut, error) { return fixtureOut{true}, nil })
	return op.NewCatalogue(append([]*op.Op{use}, own.All()...)...)
}

func (w *wired) callable(ctx context.Context, c *call.Caller, o *op.Op) bool {
	return o.Name != fixture && w.policy.Callable(ctx, c, o)
}

func (w *wired) admit(ctx context.Context, c *call.Caller, name string) error {
	_, err := w.calls.Do(ctx, &op.Request{Op: fixture, Args: []byte(`{"name":"` + name + `"}`), Transport: op.MCP, Caller: c})
	return err
}

// mayHear decides on the delivery of an event; fixtures are the principal's own.
func (w *wired) mayHear(_ context.Context, c *call.Caller, e events.Event) bool {
	return fixtures.Own(e) || e.Path.Within(c.Prefix)
}
