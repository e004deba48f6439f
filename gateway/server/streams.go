package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/changes"
	"portcullis/gateway/edge"
	"portcullis/gateway/events"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/sse"
)

// sendBuffer is what the kernel holds for a client that does not read, in bytes.
// Left to itself it would grow to megabytes for each, and a dead reader of a
// stream would be noticed only when they are full.
const sendBuffer = 64 << 10

// bounded is a listener whose connections have a bounded send buffer and end when
// their client is stuck.
type bounded struct{ net.Listener }

// Accept implements net.Listener.
func (b bounded) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // a connection without it is only less tidy
		endStalled(tcp)
	}
	return c, err
}

// openStreams makes the event log and the routes that stream it.
func (g *Server) openStreams() {
	var send func(events.Event) <-chan struct{}
	if g.store != nil {
		g.shared = g.store.NewEvents()
		send = g.shared.Send
	}
	g.events = events.New(events.Config{
		Send:  send,
		Allow: g.mayReceive, Valid: g.auth.Valid,
		Hold:     func(c *call.Caller) (func(), error) { return g.limit.Hold(c, g.policy.TierOf(c), limit.Stream) },
		Reserve:  func(c *call.Caller) (func(), error) { return g.budgets.Reserve(budget.Of(c), budget.Topics, 1) },
		Revision: g.policy.Revision,
	})
	g.sse = sse.New(sse.Config{
		Log: g.events, KVMount: g.cfg.KVMount, KeepAlive: g.keepAlive(), Open: &g.subscriptions,
		Admit: func(ctx context.Context, r *op.Request) error { return g.calls.Admit(ctx, r) },
		Change: func(ctx context.Context, r *op.Request, act func(context.Context) error) error {
			return g.calls.Change(ctx, r, act)
		},
		Resume: g.auth.Resume,
		Keep: func(c *call.Caller, n int) (func(), error) {
			return g.budgets.Reserve(budget.Of(c), budget.Kept, int64(n))
		},
		Error: func(w http.ResponseWriter, err *call.Error) { edge.WriteError(w, err, "") },
	})
}

func (g *Server) keepAlive() time.Duration { return time.Duration(g.cfg.SSEKeepAlive) * time.Second }

// topics are what a caller may receive without naming it: its own secrets in each KV
// mount, and what it is granted by name. Each event is decided on once more.
func (g *Server) topics(c *call.Caller) (list []events.Topic) {
	o := g.ops.Get("kv.read")
	add := func(mount string, p call.Path) {
		t := events.Topic{Mount: mount, Path: p, Below: true}
		if !p.IsZero() && !slices.Contains(list, t) && len(list) < g.events.Topics {
			list = append(list, t)
		}
	}
	for _, m := range o.Mounts() {
		add(m.Path, m.Own(c))
	}
	for _, granted := range g.policy.Granted(c, time.Now()) {
		m, name := o.Named(granted.Name)
		if p, err := call.ParsePath(name); granted.Engine == "kv" && err == nil && g.mayReceive(context.Background(), c, events.Event{Op: "kv.list", Mount: m.Path, Path: p}) {
			add(m.Path, p)
		}
	}
	return list
}

// mountStreams mounts the event routes, those of the old service included.
func (g *Server) mountStreams() {
	g.edge.Handle(http.MethodGet, "/events", g.sse.Events)
	g.edge.Handle(http.MethodPost, "/events/ticket", g.sse.Ticket)
	g.edge.Handle(http.MethodGet, "/mcp/sse", g.sse.OldStream)
	g.edge.Handle(http.MethodGet, "/mcp/events", g.sse.OldEvents)
}

// mayReceive decides whether a caller may receive a change now: as if it read the
// secret, or listed below it where a whole subtree is asked for.
func (g *Server) mayReceive(ctx context.Context, c *call.Caller, e events.Event) bool {
	if g.mcp.MayReceive(ctx, c, e) {
		return true
	}
	r := &op.Request{
		Op: "kv.read", Args: argument("path", e.Path), Mount: e.Mount, Absolute: true,
		Transport: op.SSE, Phase: op.PhaseStream, Caller: c, Time: time.Now(),
	}
	if e.Op == "kv.list" {
		r.Op, r.Args = e.Op, argument("prefix", e.Path)
	}
	b, err := g.ops.Bind(r)
	if err != nil || b.Resource.Mount != e.Mount || g.vault.Reserved(b.Resource) {
		return false
	}
	d := g.policy.Decide(ctx, b)
	return d.Allow
}

func argument(name string, p call.Path) []byte {
	b, _ := json.Marshal(p.String()) // strings cannot fail
	return fmt.Appendf(nil, "{%q:%s}", name, b)
}

// poller polls for changes made past the gateway. A read is a call like any other,
// decided and recorded for the subscriber; the poller's own bound stands for the
// rate limit, so that subscribing does not use a caller's rate up.
func (g *Server) poller(d *changes.Deduper) *changes.Poller {
	unlimited := *g.calls
	unlimited.Take = func(*op.Bound, *op.Decision) error { return nil }
	unlimited.Enter = func(b *op.Bound, d *op.Decision) (func(), error) {
		return g.limit.Hold(b.Caller, d.Tier, limit.Running)
	}
	r := metadataReader{&unlimited}
	return &changes.Poller{Log: g.events, Deduper: d, Read: r.read, List: r.list, Shared: g.sharedReadings()}
}

// metadataReader reads metadata and lists names as a subscriber.
type metadataReader struct {
	calls *pipeline.Pipeline
}

// call makes the call about a topic: kv.list for a subtree, else kv.metadata.
func (m metadataReader) call(ctx context.Context, c *call.Caller, t events.Topic, out any) error {
	r := &op.Request{
		Op: "kv.metadata", Args: argument("path", t.Path), Mount: t.Mount, Absolute: true,
		Transport: op.SSE, Phase: op.PhaseStream, Caller: c,
	}
	if t.Below {
		r.Op, r.Args = "kv.list", argument("prefix", t.Path)
	}
	res, err := m.calls.Do(ctx, r)
	if err != nil {
		return err
	}
	return json.Unmarshal(res.Body, out)
}

func (m metadataReader) read(ctx context.Context, c *call.Caller, t events.Topic) (changes.Metadata, error) {
	var reply struct {
		Version  int             `json:"current_version"`
		Updated  string          `json:"updated_time"`
		Versions json.RawMessage `json:"versions"` // of which some may have been deleted or destroyed
	}
	err := m.call(ctx, c, t, &reply)
	sum := sha256.Sum256(reply.Versions)
	return changes.Metadata{Version: reply.Version, Updated: reply.Updated, Fingerprint: base64.RawURLEncoding.EncodeToString(sum[:16])}, err
}

func (m metadataReader) list(ctx context.Context, c *call.Caller, t events.Topic) ([]string, error) {
	var reply struct {
		Keys []string `json:"keys"`
	}
	err := m.call(ctx, c, t, &reply)
	return reply.Keys, err
}
