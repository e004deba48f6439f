package mcp_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/mcp"
)

// asking is a tool that asks the client, and one that runs until it is cancelled.
func asking(w *world) {
	offer := func(context.Context, *mcp.Exchange) jsontext.Value { return jsontext.Value(`{"name":"x"}`) }
	w.Providers = []mcp.Provider{{Tools: []mcp.Tool{
		{Name: "asks", Offer: offer, Call: func(ctx context.Context, ex *mcp.Exchange, _ jsontext.Value) (jsontext.Value, error) {
			answer, err := ex.Ask(ctx, "elicitation/create", map[string]any{})
			return jsontext.Value(`{"content":[],"structuredContent":` + string(answer) + `}`), err
		}},
		{Name: "waits", Offer: offer, Call: func(ctx context.Context, ex *mcp.Exchange, _ jsontext.Value) (jsontext.Value, error) {
			ex.Notify("notifications/progress", map[string]any{})
			<-ctx.Done()
			return nil, ctx.Err()
		}},
	}}}
}

// begin calls a tool in a session and returns its stream.
func (l *live) begin(t *testing.T, session, tool string) *bufio.Reader {
	t.Helper()
	resp := l.send(t, http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"`+tool+`"}}`, "Mcp-Session-Id", session)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", tool, resp.StatusCode)
	}
	return bufio.NewReader(resp.Body)
}

// ended waits for the end of a stream and returns what was left of it.
func ended(r *bufio.Reader) string {
	rest, _ := io.ReadAll(r)
	return string(rest)
}

// TestAnAnswerReachesAReplicaThatDoesNotHear: a client's answer that comes to another replica
// than the one that asks is acknowledged when that one has it, although it could not be told at
// first.
func TestAnAnswerReachesAReplicaThatDoesNotHear(t *testing.T) {
	tw := newTwins(t, asking)
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	stream := a.begin(t, id, "asks")
	_, asked, _ := strings.Cut(data(t, stream), `"id":`)
	asked, _, _ = strings.Cut(asked, ",")
	a.deafen()
	code := make(chan int, 1)
	go func() { code <- b.answer(t, id, asked) }()
	<-b.asked
	a.hear()
	if got := <-code; got != http.StatusAccepted {
		t.Errorf("the answer got %d", got)
	}
	if got := data(t, stream); !strings.Contains(got, `"name":"Ada"`) {
		t.Errorf("got %s", got)
	}
	if got := b.answer(t, id, asked); got != http.StatusAccepted {
		t.Errorf("an answer that nobody waits for: %d", got)
	}
}

func (l *live) answer(t *testing.T, session, to string) int {
	code, _ := l.ask(t, session, `"id":`+to+`,"result":{"name":"Ada"}`)
	return code
}

// TestAnAnswerThatDoesNotArriveIsNotAcknowledged, so the client may send it again: the replica
// that asks has ended, or the store is away.
func TestAnAnswerThatDoesNotArriveIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var entry []byte
		w.Shared = &mcp.Shared{
			Self: "one",
			Use:  func(context.Context, string, string) ([]byte, error) { return entry, nil },
			Swap: func(_ context.Context, _, _ string, _, data []byte) (bool, error) { entry = data; return true, nil },
			Ask:  func(context.Context, string, []byte) ([]byte, error) { return nil, nil },
		}
		s := mcp.New(w.Config)
		id := post(t, s.ServeMCP, agent(t), initialize).Header().Get("Mcp-Session-Id")
		for asked, want := range map[string]int{"ask-other-x": http.StatusServiceUnavailable, "ask-one-x": http.StatusAccepted, "x": http.StatusAccepted} {
			got := post(t, s.ServeMCP, agent(t), `{"jsonrpc":"2.0","id":"`+asked+`","result":{}}`, "Mcp-Session-Id", id)
			if got.Code != want {
				t.Errorf("%s: got %d, want %d", asked, got.Code, want)
			}
		}
	})
}

// TestAnAnswerThatDoesNotArriveKeepsNoOtherBack: the answers of one batch go to different
// replicas, each for itself and beside each other.
func TestAnAnswerThatDoesNotArriveKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var entry []byte
		var mu sync.Mutex
		told := map[string]bool{}
		w.Shared = &mcp.Shared{
			Self: "one",
			Use:  func(context.Context, string, string) ([]byte, error) { return entry, nil },
			Swap: func(_ context.Context, _, _ string, _, data []byte) (bool, error) { entry = data; return true, nil },
			Ask: func(_ context.Context, replica string, _ []byte) ([]byte, error) {
				if strings.HasPrefix(replica, "gone") {
					return nil, nil
				}
				mu.Lock()
				defer mu.Unlock()
				told[replica] = true
				return []byte("{}"), nil
			},
		}
		s := mcp.New(w.Config)
		id := post(t, s.ServeMCP, agent(t), strings.Replace(initialize, "2025-11-25", "2025-03-26", 1)).Header().Get("Mcp-Session-Id")
		start := time.Now()
		got := post(t, s.ServeMCP, agent(t), `[{"jsonrpc":"2.0","id":"ask-gone1-x","result":{}},{"jsonrpc":"2.0","id":"ask-gone2-x","result":{}},`+
			`{"jsonrpc":"2.0","id":"ask-two-x","result":{}},{"jsonrpc":"2.0","id":"ask-three-x","result":{}}]`, "Mcp-Session-Id", id)
		if body := got.Body.String(); !strings.Contains(body, `"error"`) {
			t.Errorf("what did not arrive is not said: %d %s", got.Code, body)
		}
		if !told["two"] || !told["three"] {
			t.Errorf("told %v, want two and three", told)
		}
		if took := time.Since(start); took > 9*time.Second { // of the bubble
			t.Errorf("two that do not arrive took %v, one after the other", took)
		}
	})
}

// TestAReplicaThatDidNotHearLearnsOfIt: what a client has cancelled, moved, subscribed to or ended at another
// replica is so at this one as soon as it hears again.
func TestAReplicaThatDidNotHearLearnsOfIt(t *testing.T) {
	tw := newTwins(t, asking)
	a, b := tw.all[0], tw.all[1]
	t.Run("cancelled", func(t *testing.T) {
		id := a.open(t)
		running := a.begin(t, id, "waits")
		data(t, running)
		a.deafen()
		if code, body := b.ask(t, id, `"method":"notifications/cancelled","params":{"requestId":7}`); code != http.StatusAccepted {
			t.Errorf("%d %s", code, body)
		}
		a.hear()
		if rest := ended(running); strings.Contains(rest, "result") {
			t.Errorf("a cancelled request is answered: %s", rest)
		}
		again := a.begin(t, id, "waits") // of the same id: it is another one
		data(t, again)
		a.deafen()
		a.hear()
		if code, _ := b.ask(t, id, `"method":"notifications/cancelled","params":{"requestId":7}`); code != http.StatusAccepted {
			t.Error(code)
		}
		ended(again)
	})
	t.Run("moved", func(t *testing.T) {
		id := a.open(t)
		first := a.stream(t, id)
		a.deafen()
		if code, body := b.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/moved"}`); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		second := b.stream(t, id)
		b.change(t, "mcp/agent/moved")
		if got := data(t, second); !strings.Contains(got, "mcp/agent/moved") {
			t.Errorf("got %s", got)
		}
		a.hear()
		if rest := ended(first); strings.Contains(rest, "moved") {
			t.Errorf("told twice: %s", rest)
		}
	})
	t.Run("subscribed", func(t *testing.T) {
		id := a.open(t)
		first := a.stream(t, id)
		a.deafen()
		if code, body := b.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/late"}`); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		b.change(t, "mcp/agent/late")
		a.hear()
		ended(first)
		if got := data(t, a.stream(t, id)); !strings.Contains(got, "mcp/agent/late") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("over", func(t *testing.T) {
		id := a.open(t)
		running, stream := a.begin(t, id, "waits"), a.stream(t, id)
		data(t, running)
		a.deafen()
		if resp := b.send(t, http.MethodDelete, "", "Mcp-Session-Id", id); resp.StatusCode != http.StatusNoContent {
			t.Errorf("DELETE: %d", resp.StatusCode)
		}
		a.hear()
		ended(running)
		ended(stream)
	})
}

// TestAStreamGoesOnWhereItsReplicaKnows: where a stream has ended is not forgotten for what the
// session's entry says from before it, whatever changes in the entry since.
func TestAStreamGoesOnWhereItsReplicaKnows(t *testing.T) {
	tw := newTwins(t, asking)
	a, b := tw.all[0], tw.all[1]
	id := a.open(t)
	for _, path := range []string{"one", "two"} {
		if code, body := a.ask(t, id, `"id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/agent/`+path+`"}`); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
	first := a.stream(t, id)
	a.change(t, "mcp/agent/one")
	data(t, first)
	b.stream(t, id)
	ended(first)
	if code, body := a.ask(t, id, `"id":2,"method":"logging/setLevel","params":{"level":"debug"}`); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	b.deafen()
	again := a.stream(t, id)
	a.change(t, "mcp/agent/two")
	if got := data(t, again); !strings.Contains(got, "mcp/agent/two") {
		t.Errorf("told twice: %s", got)
	}
	b.hear()
}

// stream opens a session's stream, of which the first comment is read.
func (l *live) stream(t *testing.T, session string, headers ...string) *bufio.Reader {
	t.Helper()
	resp := l.send(t, http.MethodGet, "", append(headers, "Mcp-Session-Id", session, "Accept", "text/event-stream")...)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("stream: %d", resp.StatusCode)
	}
	r := bufio.NewReader(resp.Body)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return r
}
