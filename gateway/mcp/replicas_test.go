package mcp_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
	"portcullis/gateway/store/redis"
)

// twins are replicas of one server with one Redis.
type twins struct {
	redis *stack.Redis
	all   [2]*live
}

func newTwins(t *testing.T, change func(*world)) *twins {
	t.Helper()
	tw := &twins{}
	var err error
	if tw.redis, err = stack.StartRedis(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tw.redis.Close() })
	for i := range tw.all {
		tw.all[i] = tw.replica(t, change)
	}
	tw.all[0].change(t, "mcp/agent/first")
	ours := events.Filter{Kinds: []events.Kind{events.ResourceChanged}, Topics: []events.Topic{{Mount: "secret", Path: agent(t).Prefix, Below: true}}}
	for _, l := range tw.all {
		e2e.Eventually(t, "the shared log", func() bool {
			return len(l.log.Recent(t.Context(), agent(t), ours, 1)) > 0
		})
	}
	return tw
}

func (tw *twins) replica(t *testing.T, change func(*world)) *live {
	t.Helper()
	store, err := redis.Open(redis.Config{URL: call.Secret(tw.redis.URL()), Prefix: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l := &live{world: newWorld(t)}
	change(l.world)
	self, shared := rand.Text(), store.NewEvents()
	kept, asked := store.NewKept("mcp", self, redis.Bound{Most: 64, Bytes: 1 << 20, Idle: time.Hour}), store.NewQuestions("mcp", self)
	l.world.Shared = &mcp.Shared{Self: self, Use: kept.Use, Swap: kept.Swap, Drop: kept.Drop, Ask: l.counted(asked.Ask), Key: store.NewKey("mcp")}
	l.log = events.New(events.Config{
		Send:  shared.Send,
		Allow: func(_ context.Context, c *call.Caller, e events.Event) bool { return e.Path.Within(c.Prefix) },
	})
	l.world.Events = l.log
	s := mcp.New(l.world.Config)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := agent(t)
		if sub := r.Header.Get("X-Subject"); sub != "" {
			c.Subject = sub
		}
		s.ServeMCP(w, r, c)
	}))
	t.Cleanup(func() { _ = store.Close() })
	stop := inBackground(t, store.Run, func(ctx context.Context) { shared.Run(ctx, l.log) })
	l.hear = func() {
		t.Helper()
		both := make(chan struct{}, 2)
		heard := func() { both <- struct{}{} }
		l.deafen = inBackground(t, func(ctx context.Context) {
			kept.Run(ctx, func(name string) { s.Changed(ctx, name) }, func() { s.Missed(ctx); heard() })
		}, func(ctx context.Context) {
			asked.Run(ctx, heard, func(m []byte) []byte { return s.Answer(ctx, m) })
		})
		<-both
		<-both
	}
	l.hear()
	t.Cleanup(func() {
		l.log.Close()
		l.Close()
		l.deafen()
		stop()
	})
	return l
}

// inBackground runs functions until they are stopped, which waits for them.
func inBackground(t *testing.T, all ...func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, f := range all {
		running.Go(func() { f(ctx) })
	}
	return func() { cancel(); running.Wait() }
}

// counted tells in asked of each message to the other replica, once it was tried.
func (l *live) counted(f func(context.Context, string, []byte) ([]byte, error)) func(context.Context, string, []byte) ([]byte, error) {
	l.asked = make(chan struct{}, 100)
	return func(ctx context.Context, replica string, message []byte) ([]byte, error) {
		answer, err := f(ctx, replica, message)
		l.asked <- struct{}{}
		return answer, err
	}
}

// sessions are the keys and entries of sessions in Redis.
func (tw *twins) sessions(t *testing.T, each func(c *goredis.Client, key, name, entry string)) {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: tw.redis.Addr})
	defer func() { _ = c.Close() }()
	keys, err := c.Keys(t.Context(), "*:mcp:*:entries").Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, key := range keys {
		for name, entry := range c.HGetAll(t.Context(), key).Val() {
			each(c, key, name, entry)
		}
	}
}

// ask makes a request in a session and returns its status and body.
func (l *live) ask(t *testing.T, session, body string, headers ...string) (int, string) {
	t.Helper()
	resp := l.send(t, http.MethodPost, `{"jsonrpc":"2.0",`+body+`}`, append(headers, "Mcp-Session-Id", session, "Accept", "application/json, text/event-stream")...)
	var b strings.Builder
	_, _ = bufio.NewReader(resp.Body).WriteTo(&b)
	return resp.StatusCode, b.String()
}

// TestAnyReplicaServesASession: what one replica agreed on with a client holds at the
// other, for its caller alone, until either is told that it is over.
func TestAnyReplicaServesASession(t *testing.T) {
	tw := newTwins(t, func(*world) {})
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	if code, body := b.ask(t, id, `"id":1,"method":"tools/list"`); code != 200 || !strings.Contains(body, "kv_read") {
		t.Errorf("at the other replica: %d %s", code, body)
	}
	if code, body := b.ask(t, id, `"id":1,"method":"tools/list"`, "X-Subject", "other"); code != 404 {
		t.Errorf("somebody else's: %d %s", code, body)
	}
	if code, body := b.ask(t, id+"x", `"id":1,"method":"tools/list"`); code != 404 {
		t.Errorf("an unknown one: %d %s", code, body)
	}
	if code, body := b.ask(t, id, `"id":2,"method":"logging/setLevel","params":{"level":"debug"}`); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	denied := `"id":3,"method":"tools/call","params":{"name":"kv_write","arguments":{"path":"app","data":{"a":"b"}}}`
	if _, body := a.ask(t, id, denied); !strings.Contains(body, "notifications/message") {
		t.Errorf("the level that was set at the other replica does not hold: %s", body)
	}
	if resp := b.send(t, http.MethodDelete, "", "Mcp-Session-Id", id); resp.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %d", resp.StatusCode)
	}
	for i, l := range tw.all {
		if code, _ := l.ask(t, id, `"id":4,"method":"tools/list"`); code != 404 {
			t.Errorf("replica %d serves a session that is over: %d", i, code)
		}
	}
}

// TestAStreamHearsOfSubscriptionsElsewhere: a subscription that any replica has answered is
// heard of on the session's stream, and the stream moves without a gap or an event twice.
func TestAStreamHearsOfSubscriptionsElsewhere(t *testing.T) {
	tw := newTwins(t, func(*world) {})
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	subscribe := func(l *live, path string) {
		t.Helper()
		if code, body := l.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/`+path+`"}`); code != 200 || !strings.Contains(body, "{}") {
			t.Fatalf("%d %s", code, body)
		}
	}
	stream := func(l *live) *bufio.Reader {
		resp := l.send(t, http.MethodGet, "", "Mcp-Session-Id", id, "Accept", "text/event-stream")
		if resp.StatusCode != 200 {
			t.Fatalf("stream: %d", resp.StatusCode)
		}
		r := bufio.NewReader(resp.Body)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		return r
	}
	hears := func(r *bufio.Reader, path string) {
		t.Helper()
		if got := data(t, r); !strings.Contains(got, "kv://secret/mcp/agent/"+path) {
			t.Errorf("got %s, want %s", got, path)
		}
	}
	subscribe(b, "one")
	first := stream(a)
	for i := range 10 {
		path := "two" + strings.Repeat("o", i)
		subscribe(b, path)
		b.change(t, "mcp/agent/"+path)
		hears(first, path)
	}
	b.change(t, "mcp/agent/one")
	hears(first, "one")
	second := stream(b)
	if rest, err := first.ReadString(0); err == nil || strings.Contains(rest, "kv://") {
		t.Errorf("the stream that has been replaced goes on: %q, %v", rest, err)
	}
	a.change(t, "mcp/agent/two")
	hears(second, "two")
	if code, _ := a.ask(t, id, `"id":1,"method":"resources/unsubscribe","params":{"uri":"kv://secret/mcp/agent/two"}`); code != 200 {
		t.Errorf("unsubscribe: %d", code)
	}
	a.change(t, "mcp/agent/two")
	a.change(t, "mcp/agent/one")
	hears(second, "one")
}

// TestARequestIsCancelledWhereverItRuns.
func TestARequestIsCancelledWhereverItRuns(t *testing.T) {
	started, cancelled := make(chan struct{}, 1), make(chan struct{}, 1)
	tw := newTwins(t, func(w *world) {
		w.Do = func(ctx context.Context, _ *op.Request) (*op.Result, error) {
			started <- struct{}{}
			<-ctx.Done()
			cancelled <- struct{}{}
			return &op.Result{}, ctx.Err()
		}
	})
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL, strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"app"}}}`))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Mcp-Session-Id", id)
		if resp, err := a.Client().Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-started
	if code, body := b.ask(t, id, `"method":"notifications/cancelled","params":{"requestId":7}`); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	<-cancelled
}

// TestSessionsWithoutTheStore: a session goes on where it is known, others are told to try
// again, and none is begun that others would not know.
func TestSessionsWithoutTheStore(t *testing.T) {
	tw := newTwins(t, func(*world) {})
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	if err := tw.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	list := `"id":1,"method":"tools/list"`
	if code, body := a.ask(t, id, list); code != 200 {
		t.Errorf("where it is known: %d %s", code, body)
	}
	if code, body := b.ask(t, id, list); code != 503 {
		t.Errorf("where it is not: %d %s", code, body)
	}
	if code, body := a.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/x"}`); !strings.Contains(body, "try again") {
		t.Errorf("a subscription: %d %s", code, body)
	}
	b.opensNone(t)
	if err := tw.redis.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := ""
	e2e.Eventually(t, "sessions begin again", func() bool {
		begun = b.send(t, http.MethodPost, initialize).Header.Get("Mcp-Session-Id")
		return begun != ""
	})
	e2e.Eventually(t, "and are every replica's", func() bool {
		code, body := a.ask(t, begun, list)
		if code != 200 && code != 503 { // as long as it looks for Redis
			t.Fatalf("at the other replica: %d %s", code, body)
		}
		return code == 200
	})
	if code, _ := a.ask(t, id, list); code != 404 {
		t.Errorf("one that Redis has forgotten: %d, want a new beginning", code)
	}
}

// opensNone: initialize is refused, and it is said when to try again.
func (l *live) opensNone(t *testing.T) {
	t.Helper()
	resp := l.send(t, http.MethodPost, initialize)
	if id := resp.Header.Get("Mcp-Session-Id"); resp.StatusCode != 503 || id != "" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("initialize: %d with session %q, Retry-After %q", resp.StatusCode, id, resp.Header.Get("Retry-After"))
	}
}

// TestASessionIsAnnouncedWhenOthersKnowIt: one whose entry a slow Redis did not take in time is
// refused, and one of which only the answer was lost is begun.
func TestASessionIsAnnouncedWhenOthersKnowIt(t *testing.T) {
	slow, lost := false, false
	tw := newTwins(t, func(w *world) {})
	a, b := tw.all[0], tw.all[1]
	swap := a.world.Shared.Swap
	a.world.Shared.Swap = func(ctx context.Context, owner, name string, was, data []byte) (bool, error) {
		if slow {
			return false, errors.New("no answer in time")
		}
		done, err := swap(ctx, owner, name, was, data)
		if lost {
			lost = false
			return false, errors.New("no answer in time")
		}
		return done, err
	}
	slow = true
	a.opensNone(t)
	slow, lost = false, true
	if code, body := b.ask(t, a.open(t), `"id":1,"method":"tools/list"`); code != 200 {
		t.Errorf("at the other replica: %d %s", code, body)
	}
}

// TestASessionIsUnreadableInTheStore: whoever reads Redis learns nothing of a session, and
// whatever stands there instead of one is none.
func TestASessionIsUnreadableInTheStore(t *testing.T) {
	tw := newTwins(t, func(*world) {})
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	if code, body := a.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/canary"}`); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	dump := ""
	tw.sessions(t, func(_ *goredis.Client, key, name, entry string) { dump += key + name + entry })
	for _, word := range []string{id, "canary", "agent", "2025-11-25"} {
		if strings.Contains(dump, word) {
			t.Errorf("%q stands in Redis: %s", word, dump)
		}
	}
	tw.sessions(t, func(c *goredis.Client, key, name, _ string) {
		c.HSet(t.Context(), key, name, `{"version":"2025-11-25"}`)
	})
	if code, body := b.ask(t, id, `"id":1,"method":"tools/list"`); code != 404 {
		t.Errorf("garbage in the place of a session: %d %s", code, body)
	}
}

// TestAnyReplicaOpensARequestState that another has sealed: the client answers wherever its
// next request comes to.
func TestAnyReplicaOpensARequestState(t *testing.T) {
	offer := func(context.Context, *mcp.Exchange) jsontext.Value { return jsontext.Value(`{"name":"x"}`) }
	asks := func(_ context.Context, ex *mcp.Exchange, _ jsontext.Value) (jsontext.Value, error) {
		if string(ex.Input().State) == "asked" {
			return jsontext.Value(`{"content":[]}`), nil
		}
		return nil, &mcp.InputRequired{State: []byte("asked")}
	}
	tw := newTwins(t, func(w *world) {
		w.Providers = []mcp.Provider{{Tools: []mcp.Tool{{Name: "one", Offer: offer, Call: asks}}}}
	})
	call := func(i int, state string) string {
		return post(t, mcp.New(tw.all[i].world.Config).ServeMCP, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one",`+modernMeta+state+`}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "one").Body.String()
	}
	var reply struct {
		Result struct{ RequestState string }
	}
	if err := json.Unmarshal([]byte(call(0, "")), &reply); err != nil || reply.Result.RequestState == "" {
		t.Fatalf("got %+v, %v", reply, err)
	}
	if got := call(1, `,"requestState":"`+reply.Result.RequestState+`"`); !strings.Contains(got, `"resultType":"complete"`) {
		t.Errorf("at the other: %s", got)
	}
}
