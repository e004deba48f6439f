package mcp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/e2e"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
)

// TestAbuseSlowReader holds that a reader that does not read is cut off, and that
// neither the publisher nor another reader waits for it.
func TestAbuseSlowReader(t *testing.T) {
	before := openStreams()
	l := newLiveWith(t, func(w *world) { w.Limits.WriteTimeout = 2 * time.Second })
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["kv://secret/mcp/agent/"]},` + modernMeta + `}}`
	h := []string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}
	slow := l.send(t, http.MethodPost, listen, h...) // not read until the end
	quick := bufio.NewReader(l.send(t, http.MethodPost, listen, h...).Body)
	data(t, quick)
	long := "mcp/agent/" + strings.Repeat("x", 250) + "/" + strings.Repeat("y", 250)
	for range 20_000 { // more than the sockets' buffers hold
		l.change(t, long)
		data(t, quick)
	}
	e2e.Eventually(t, "the slow reader is cut off", func() bool { return openStreams() <= before+1 })
	got, _ := io.ReadAll(slow.Body) // it ends, cleanly or not
	if strings.Contains(string(got), `"resultType"`) {
		t.Error("the slow reader's stream was ended as if all were well")
	}
	if n := bytes.Count(got, []byte("resources/updated")); n >= 20_000 {
		t.Errorf("the slow reader was sent all %d events", n)
	}
}

// openStreams is how many streams there are.
func openStreams() (n int) {
	var page bytes.Buffer
	metrics.WritePrometheus(&page, false)
	for line := range strings.Lines(page.String()) {
		_, _ = fmt.Sscanf(line, "portcullis_event_streams %d", &n) // of the one line that it is
	}
	return n
}

// TestNothingBeginsInASessionThatHasEnded: also for who has found it just before.
func TestNothingBeginsInASessionThatHasEnded(t *testing.T) {
	w := newWorld(t)
	w.Events = events.New(events.Config{})
	t.Cleanup(w.Events.Close)
	s := mcp.New(w.Config)
	id := post(t, s.ServeMCP, agent(t), initialize).Header().Get("Mcp-Session-Id")
	if stream, request := mcp.AfterTheEnd(s, id, agent(t)); stream == nil || request == nil {
		t.Errorf("got %v for a stream and %v for a request, want refusals", stream, request)
	}
}
