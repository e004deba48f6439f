package mcp_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/mcp"
)

// TestAQuestionEndsWithItsSession: when the policy has changed, no answer can come any more.
func TestAQuestionEndsWithItsSession(t *testing.T) {
	var revision atomic.Value
	l := newLiveWith(t, func(w *world) { asking(w); reloadable(&revision)(w) })
	id := l.open(t)
	stream := l.begin(t, id, "asks")
	_, asked, _ := strings.Cut(data(t, stream), `"id":`)
	asked, _, _ = strings.Cut(asked, ",")
	if got := l.answer(t, id, strings.Replace(asked, "ask-", "ask-x", 1)); got != http.StatusAccepted {
		t.Errorf("an answer to another question: %d", got)
	}
	revision.Store("two")
	if got := l.answer(t, id, asked); got != http.StatusNotFound {
		t.Errorf("an answer in a session that is over: %d", got)
	}
	if got := ended(stream); !strings.Contains(got, "the session has ended") {
		t.Errorf("got %s", got)
	}
}

// TestAQuestionIsNotAskedForEver: a client that does not answer holds its call for a while.
func TestAQuestionIsNotAskedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		asking(w)
		s := mcp.New(w.Config)
		id := post(t, s.ServeMCP, agent(t), initialize).Header().Get("Mcp-Session-Id")
		start := time.Now()
		got := post(t, s.ServeMCP, agent(t), `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"asks"}}`, "Mcp-Session-Id", id)
		if took := time.Since(start); took != 10*time.Minute || !strings.Contains(got.Body.String(), `"error"`) { // of the bubble
			t.Errorf("after %v: %s", took, got.Body)
		}
	})
}
