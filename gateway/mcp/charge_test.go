package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// till is an Admit that keeps what it is asked, and refuses when the bucket is empty.
type till struct {
	mu     sync.Mutex // guards what follows
	bucket int
	seen   []string
	came   []error // of each Change
}

func (c *till) admit(_ context.Context, r *op.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := r.Op
	if r.Phase == op.PhaseList {
		s += " list"
	}
	if r.Bad != nil {
		s += " bad"
	}
	c.seen = append(c.seen, s)
	if c.bucket--; c.bucket < 0 {
		return &call.Error{Code: call.RateLimited, Msg: "too many calls", RetryAfter: 2e9}
	}
	return r.Bad
}

// change is admit, and what it is asked to do when that lets it in.
func (c *till) change(ctx context.Context, r *op.Request, act func(context.Context) error) error {
	if err := c.admit(ctx, r); err != nil {
		return err
	}
	err := act(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = append(c.came, err)
	return err
}

func (c *till) fill(tokens int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bucket = tokens
}

func (c *till) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// charged is a live server with a bucket of some tokens.
func charged(t *testing.T, tokens int) (*live, *till) {
	t.Helper()
	c := &till{bucket: tokens}
	return newLiveWith(t, func(w *world) { w.Admit, w.Change = c.admit, c.change }), c
}

func answered(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEveryMethodIsChargedOnce: what costs takes one token, what makes the gateway
// keep something and what is no call is on record, and what goes through the pipeline
// is left to it.
func TestEveryMethodIsChargedOnce(t *testing.T) {
	l, c := charged(t, 100)
	id := l.open(t)
	for i, tc := range []struct{ message, want string }{
		{`"id":1,"method":"ping"`, ""},
		{`"method":"notifications/initialized"`, ""},
		{`"id":1,"method":"tools/list"`, "mcp.tools_list list"},
		{`"id":1,"method":"prompts/list"`, "mcp.prompts_list list"},
		{`"id":1,"method":"resources/templates/list"`, "mcp.resources_templates_list list"},
		{`"id":1,"method":"resources/list"`, ""},
		{`"id":1,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"app"}}`, ""},
		{`"id":1,"method":"tools/call","params":{"name":"kv_nope"}`, "mcp.tools_call bad"},
		{`"id":1,"method":"tools/call","params":{"name":"kv_read","arguments":"x"}`, "mcp.tools_call bad"},
		{`"id":1,"method":"tools/call","params":{}`, "mcp.tools_call bad"},
		{`"id":1,"method":"resources/read","params":{"uri":"nonsense"}`, "mcp.resources_read bad"},
		{`"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/a"}`, "mcp.resources_subscribe"},
		{`"id":1,"method":"resources/unsubscribe","params":{"uri":"kv://secret/mcp/agent/a"}`, "mcp.resources_unsubscribe"},
		{`"id":1,"method":"logging/setLevel","params":{"level":"debug"}`, "mcp.logging_setLevel"},
		{`"id":1,"method":"nope"`, "mcp.unknown bad"},
		{`"id":{},"method":"ping"`, "mcp.unknown bad"},
		{`"id":1,"method":"ping","params":"x"`, "mcp.ping bad"},
		{`"id":1,"Method":"ping"`, "mcp.unknown bad"},
	} {
		before := len(c.taken())
		message := strings.Replace(tc.message, `"id":1,`, fmt.Sprintf(`"id":%d,`, 10+i), 1) // the last may not have ended yet
		l.send(t, http.MethodPost, `{"jsonrpc":"2.0",`+message+`}`, "Mcp-Session-Id", id)
		if got := strings.Join(c.taken()[before:], ", "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.message, got, tc.want)
		}
	}
	before := len(c.taken())
	l.send(t, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Mcp-Session-Id", "unknown")
	l.send(t, http.MethodGet, "", "Mcp-Session-Id", id)
	l.send(t, http.MethodGet, "", "Mcp-Session-Id", "unknown")
	l.send(t, http.MethodDelete, "", "Mcp-Session-Id", "unknown")
	want := "mcp.ping bad, mcp.stream, mcp.unknown bad, mcp.unknown bad"
	if got := strings.Join(c.taken()[before:], ", "); got != want || c.taken()[0] != "mcp.initialize" {
		t.Errorf("got %q after %q, want %q", got, c.taken()[0], want)
	}
}

// TestWhatIsHandedOnIsCharged: a cancellation or an answer that is for another replica takes a
// token, and without one nobody is told. One that is for this one costs nothing.
func TestWhatIsHandedOnIsCharged(t *testing.T) {
	var entry []byte
	told := 0
	c := &till{bucket: 3}
	l := newLiveWith(t, func(w *world) {
		w.Admit, w.Change = c.admit, c.change
		w.Shared = &mcp.Shared{
			Self: "one",
			Use:  func(context.Context, string, string) ([]byte, error) { return entry, nil },
			Swap: func(_ context.Context, _, _ string, _, data []byte) (bool, error) {
				told++
				entry = data
				return true, nil
			},
			Ask: func(context.Context, string, []byte) ([]byte, error) { told++; return []byte("unknown session"), nil },
		}
	})
	id := l.open(t)
	for _, tc := range []struct {
		message string
		status  int
	}{
		{`"id":"ask-one-x","result":{}`, 202},
		{`"id":"ask-two-x","result":{}`, 202},
		{`"method":"notifications/cancelled","params":{"requestId":7}`, 202},
		{`"id":"ask-two-x","result":{}`, 429},
		{`"method":"notifications/cancelled","params":{"requestId":7}`, 429},
		{`"id":"ask-one-x","result":{}`, 202},
	} {
		if resp := l.send(t, http.MethodPost, `{"jsonrpc":"2.0",`+tc.message+`}`, "Mcp-Session-Id", id); resp.StatusCode != tc.status {
			t.Errorf("%s: got %d, want %d", tc.message, resp.StatusCode, tc.status)
		}
	}
	want := "mcp.initialize, mcp.response list, mcp.notifications_cancelled list, mcp.response list, mcp.notifications_cancelled list"
	if got := strings.Join(c.taken(), ", "); got != want || told != 3 {
		t.Errorf("others were told %d times, want 3; charged %s", told, got)
	}
}

// TestLimitedMessages: an empty bucket refuses lists, sessions and streams, in a
// batch as well, with the time after which to come back.
func TestLimitedMessages(t *testing.T) {
	l, c := charged(t, 1)
	resp := l.send(t, http.MethodPost, strings.Replace(initialize, "2025-11-25", "2025-03-26", 1))
	id := resp.Header.Get("Mcp-Session-Id")
	var batch []string
	for i := range 50 {
		batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, i))
	}
	got := answered(t, l.send(t, http.MethodPost, "["+strings.Join(batch, ",")+"]", "Mcp-Session-Id", id))
	if n := strings.Count(got, `"code":"rate_limited","message":"too many calls"`); n != 50 || !strings.Contains(got, `"retry_after_s":2`) || strings.Contains(got, `"tools"`) {
		t.Errorf("%d of 50 lists were refused: %.300s", n, got)
	}
	if len(c.taken()) != 51 {
		t.Errorf("%d charges for 51 messages", len(c.taken()))
	}
	for name, r := range map[string]*http.Response{
		"a session":       l.send(t, http.MethodPost, initialize),
		"a stream":        l.send(t, http.MethodGet, "", "Mcp-Session-Id", id),
		"what is no call": l.send(t, http.MethodPost, `{`, "Mcp-Session-Id", id),
	} {
		if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "2" {
			t.Errorf("%s: got %d, Retry-After %q", name, r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
}

// TestLimitedResourcesAreAShortList: clients list resources when they start, and some
// do not survive a refusal.
func TestLimitedResourcesAreAShortList(t *testing.T) {
	for _, code := range []call.Code{call.RateLimited, call.VaultUnavailable, call.Overloaded} {
		w := newWorld(t)
		w.answers["kv.list"] = func(*op.Request) (string, error) {
			return "", &call.Error{Code: code, Msg: "not now", RetryAfter: 3e9}
		}
		got := post(t, mcp.New(w.Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`).Body.String()
		if !strings.Contains(got, `"uri":"kv://secret/mcp/agent/"`) || !strings.Contains(got, "Not listed now: "+string(code)+", try again in 3 s") {
			t.Errorf("%s: got %s", code, got)
		}
	}
}

// keeping are budgets of which one caller may keep some bytes.
func keeping(most int64) *budget.Budgets {
	table := budget.Table{}
	table[budget.Kept].Caller = most
	return budget.New(table)
}

// TestKeptBytesAreBoundedPerCaller: whatever a caller subscribes to, and in however
// many sessions, what is kept for it has a bound in bytes, and nobody else pays.
func TestKeptBytesAreBoundedPerCaller(t *testing.T) {
	const most = 64 << 10
	l := newLiveWith(t, func(w *world) { w.Budgets = keeping(most) })
	subscribe := func(id string, n int, headers ...string) string {
		path := "mcp/agent/" + fmt.Sprint(n) + strings.Repeat("/"+strings.Repeat("x", 200), 4)
		if len(headers) > 0 {
			path = strings.Replace(path, "agent", headers[1], 1)
		}
		body := `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/` + path + `"}}`
		return answered(t, l.send(t, http.MethodPost, body, append(headers, "Mcp-Session-Id", id)...))
	}
	kept, n := 0, 0
	var sessions []string
	for range 8 {
		sessions = append(sessions, l.open(t))
	}
	for _, id := range sessions {
		for range 20 {
			n++
			if strings.Contains(subscribe(id, n), `"result":{}`) {
				kept++
			}
		}
	}
	if kept == 0 || kept*800 > most {
		t.Errorf("%d subscriptions of 800 bytes are kept, of a bound of %d bytes", kept, most)
	}
	if got := subscribe(sessions[7], 1000); !strings.Contains(got, "too many subscriptions") {
		t.Errorf("got %s", got)
	}
	if got := subscribe(l.open(t, "X-Subject", "other"), 1, "X-Subject", "other"); !strings.Contains(got, `"result":{}`) {
		t.Errorf("somebody else got %s", got)
	}
	for _, id := range sessions {
		l.send(t, http.MethodDelete, "", "Mcp-Session-Id", id)
	}
	if got := subscribe(l.open(t), 2000); !strings.Contains(got, `"result":{}`) {
		t.Errorf("after the end of the sessions got %s", got)
	}
}

// TestListeningCountsAsKept: a stream's subscriptions come out of the same bound.
func TestListeningCountsAsKept(t *testing.T) {
	l := newLiveWith(t, func(w *world) { w.Budgets = keeping(4 << 10) })
	var uris []string
	for i := range 20 {
		uris = append(uris, fmt.Sprintf(`"kv://secret/mcp/agent/%d"`, i))
	}
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[` + strings.Join(uris, ",") + `]},` + modernMeta + `}}`
	if got := answered(t, l.send(t, http.MethodPost, listen, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")); !strings.Contains(got, "too many subscriptions") {
		t.Errorf("got %s", got)
	}
}

// TestWhatAClientSaysOfItselfIsNotKept: capabilities are kept as names, few and
// short, and the rest of initialize not at all.
func TestWhatAClientSaysOfItselfIsNotKept(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf(`"%d":{"%s":{}}`, i, big[:50]))
	}
	l := newLiveWith(t, func(w *world) { w.Budgets = keeping(16 << 10) })
	body := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"` + big + `":{},` +
		strings.Join(many, ",") + `},"clientInfo":{"name":"` + big + `","version":"` + big + `"}}}`
	resp := l.send(t, http.MethodPost, body)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Mcp-Session-Id") == "" {
		t.Errorf("got %d %s", resp.StatusCode, answered(t, resp))
	}
}

// TestTheOutcomeOfAMethodIsWhatCameOfIt: what a method makes the gateway keep is on record
// as begun only where it was.
func TestTheOutcomeOfAMethodIsWhatCameOfIt(t *testing.T) {
	l, c := charged(t, 100)
	id := l.open(t)
	for i, tc := range []struct {
		message string
		code    call.Code // of the outcome, empty for none
	}{
		{`"id":1,"method":"logging/setLevel","params":{"level":"warning"}`, ""},
		{`"id":2,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/app"}`, ""},
		{`"id":3,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/other/app"}`, call.InvalidRequest},
		{`"id":4,"method":"resources/subscribe","params":{"uri":"nothing"}`, call.InvalidRequest},
	} {
		answered(t, l.send(t, http.MethodPost, `{"jsonrpc":"2.0",`+tc.message+`}`, "Mcp-Session-Id", id))
		c.mu.Lock()
		if len(c.came) != i+2 { // the first is of the session
			t.Fatalf("%s: %d outcomes", tc.message, len(c.came))
		}
		err := call.AsError(c.came[i+1])
		c.mu.Unlock()
		if (err == nil) != (tc.code == "") || err != nil && err.Code != tc.code {
			t.Errorf("%s: the outcome is %v, want %q", tc.message, err, tc.code)
		}
	}
}
