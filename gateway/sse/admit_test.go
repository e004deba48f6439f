package sse_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
	"portcullis/gateway/sse"
)

// charged is a server whose requests that are no operations are counted.
type charged struct {
	*sse.Server
	decisions int
	admitted  []string
	limit     int // requests that are let in
	caller    *call.Caller
	outcome   error // of the last Change
}

func newCharged(b *budget.Budgets) *charged {
	c := &charged{limit: 1000, caller: &call.Caller{Subject: "agent", Prefix: path("mcp/agent")}}
	log := events.New(events.Config{Allow: func(context.Context, *call.Caller, events.Event) bool { c.decisions++; return false }})
	admit := func(_ context.Context, r *op.Request) error {
		if c.limit--; c.limit < 0 {
			return call.Errorf(call.RateLimited, "slow down")
		}
		bad := ""
		if r.Bad != nil {
			bad = " " + string(call.AsError(r.Bad).Code)
		}
		c.admitted = append(c.admitted, fmt.Sprintf("%s %s %d%s", r.Op, r.Phase, r.Items, bad))
		return r.Bad
	}
	c.Server = sse.New(sse.Config{
		Log: log, KVMount: "secret",
		Error: func(w http.ResponseWriter, e *call.Error) { http.Error(w, e.Msg, http.StatusForbidden) },
		Admit: admit,
		Change: func(ctx context.Context, r *op.Request, act func(context.Context) error) error {
			if err := admit(ctx, r); err != nil {
				return err
			}
			c.outcome = act(ctx)
			return c.outcome
		},
		Keep: func(who *call.Caller, n int) (func(), error) { return b.Reserve(budget.Of(who), budget.Kept, int64(n)) },
	})
	return c
}

func (c *charged) ask(method, query string) int {
	w := httptest.NewRecorder()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second) // a stream that should not have begun
	defer stop()
	r := httptest.NewRequestWithContext(ctx, method, "/events?"+query, nil)
	if method == "POST" {
		c.Ticket(w, r, c.caller)
	} else {
		c.Events(w, r, c.caller)
	}
	return w.Code
}

// TestWhatIsAskedOfEventsIsPaidForFirst: each path is a decision, so a request with many
// costs more, one with too many is refused before any, and refusals are on record.
func TestWhatIsAskedOfEventsIsPaidForFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		query     string
		limit     int
		decisions int
		admitted  string
	}{
		"denied":         {query: "path=mcp/agent/x", limit: 9, decisions: 1, admitted: "%[1]s list 1; %[1]s  0 forbidden"},
		"many":           {query: strings.Repeat("path=mcp/agent/x&", 200), limit: 9, decisions: 1, admitted: "%[1]s list 200; %[1]s  0 forbidden"},
		"too many":       {query: strings.Repeat("path=x&", 5_000), limit: 9, admitted: "%[1]s  0 invalid_request"},
		"too many types": {query: strings.Repeat("type=x&", 5_000), limit: 9, admitted: "%[1]s  0 invalid_request"},
		"unreadable":     {query: "path=%zz", limit: 9, admitted: "%[1]s  0 invalid_request"},
		"endless":        {query: strings.Repeat("x=x&", 12_000), limit: 9, admitted: "%[1]s  0 invalid_request"},
		"over the rate":  {query: "path=mcp/agent/x"},
	} {
		for method, opName := range map[string]string{"GET": "events.stream", "POST": "events.ticket"} {
			c := newCharged(nil)
			c.limit = tc.limit
			if code := c.ask(method, tc.query); code != http.StatusForbidden {
				t.Errorf("%s, %s: got %d", name, method, code)
			}
			want := tc.admitted
			if want != "" {
				want = fmt.Sprintf(want, opName)
			}
			if got := strings.Join(c.admitted, "; "); got != want || c.decisions != tc.decisions {
				t.Errorf("%s, %s: got %q and %d decisions, want %q and %d", name, method, got, c.decisions, want, tc.decisions)
			}
		}
	}
}

// TestTicketsTakeOfWhatIsKept: with their filter, and without anything else that the
// URL says.
func TestTicketsTakeOfWhatIsKept(t *testing.T) {
	var table budget.Table
	table[budget.Kept].Caller = 2000
	b := budget.New(table)
	c := newCharged(b)
	for i, want := range []int{201, 201, 201, 403} {
		if got := c.ask("POST", "x="+strings.Repeat("y", 50_000)); got != want {
			t.Errorf("ticket %d: got %d, want %d", i+1, got, want)
		}
		if (c.outcome == nil) != (want == 201) {
			t.Errorf("ticket %d is on record with %v", i+1, c.outcome)
		}
	}
	if n := b.Used(budget.Kept); n == 0 || n > 2000 {
		t.Errorf("%d bytes are taken", n)
	}
}
