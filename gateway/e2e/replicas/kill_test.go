package replicas_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/retry"
)

// ledger is what callers know of the writes that they have made.
type ledger struct {
	mu      sync.Mutex      // guards what follows
	acked   map[string]bool // paths; false where nobody knows whether it was done
	counted int             // increments that were acknowledged
	unknown int             // increments of which nobody knows
}

func (l *ledger) note(path string, acked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[path] = acked
}

// TestAKilledReplicaLosesNothingThatWasAcknowledged: one of three is killed under load. Each
// write that was acknowledged is in Vault once, and told of once on a stream that goes on
// elsewhere; a session of MCP serves on.
func TestAKilledReplicaLosesNothingThatWasAcknowledged(t *testing.T) {
	w := start(t, "{}", "RATE_LIMIT_ENABLED=false")
	b := w.balance()
	var killed atomic.Bool
	r := w.read(func() string {
		if killed.Load() {
			return b.URL
		}
		return w.replicas[1].url()
	})
	l := &ledger{acked: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				path := fmt.Sprintf("w%d/%d", i, n)
				a, err := try(w.t.Context(), "PUT", b.URL+"/secrets/"+path, `{"data":{"v":"1"}}`)
				l.note(path, w.done(a, err))
			}
		})
	}
	wg.Go(func() { w.speak(ctx, b, l) })
	for range 2 {
		wg.Go(func() { w.increment(ctx, b, l) })
	}
	retry.Sleep(ctx, 500*time.Millisecond)
	killed.Store(true)
	if err := w.replicas[1].Kill(); err != nil {
		t.Error(err)
	}
	retry.Sleep(ctx, time.Second)
	stop()
	wg.Wait()
	w.settle(l, r)
}

// done reports whether a call was acknowledged. Nobody knows of one that the killed replica
// was answering; any other answer is wrong.
func (w *world) done(a answer, err error) bool {
	if err == nil && a.status == http.StatusOK {
		return true
	}
	if err == nil && a.status != http.StatusBadGateway {
		w.t.Errorf("%d %s", a.status, a.body)
	}
	return false
}

// speak writes in one session of MCP, whichever replica a message of it comes to.
func (w *world) speak(ctx context.Context, b *balancer, l *ledger) {
	hello, err := try(w.t.Context(), "POST", b.URL+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if !w.done(hello, err) {
		return
	}
	session := "Mcp-Session-Id: " + hello.header.Get("Mcp-Session-Id")
	for n := 0; ctx.Err() == nil; n++ {
		path := fmt.Sprint("m/", n)
		a, err := try(w.t.Context(), "POST", b.URL+"/mcp", fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"kv_write","arguments":{"path":%q,"data":{"v":"1"}}}}`, n+2, path), session)
		acked := w.done(a, err)
		if acked && strings.Contains(a.body, `"isError":true`) {
			w.t.Errorf("in the session: %s", a.body)
		}
		l.note(path, acked)
	}
}

// increment adds one to a number that others add to, again and again: it writes behind the
// version that it has seen.
func (w *world) increment(ctx context.Context, b *balancer, l *ledger) {
	version := 0
	for ctx.Err() == nil {
		a, err := try(w.t.Context(), "PUT", b.URL+"/secrets/number", fmt.Sprintf(`{"data":{"v":"%d"},"cas":%d}`, version+1, version))
		if err == nil && a.status == http.StatusConflict {
			version = w.version("number")
			continue
		}
		acked := w.done(a, err)
		l.mu.Lock()
		if acked {
			l.counted++
		} else {
			l.unknown++
		}
		l.mu.Unlock()
		version = w.version("number")
	}
}

// version is the newest version of a secret in Vault, 0 for none.
func (w *world) version(path string) int {
	a, err := try(w.t.Context(), "GET", w.vault.Addr+"/v1/secret/metadata/mcp/agent_api/"+path, "", "X-Vault-Token: "+w.vault.Token)
	if err != nil || a.status != http.StatusOK && a.status != http.StatusNotFound {
		w.t.Errorf("metadata of %s: %v %d", path, err, a.status)
	}
	var found struct {
		Data struct {
			Current int `json:"current_version"`
		} `json:"data"`
	}
	_ = json.Unmarshal([]byte(a.body), &found)
	return found.Data.Current
}

// settle holds what was acknowledged to what is in Vault and to what was told.
func (w *world) settle(l *ledger, r *reader) {
	w.t.Helper()
	unknown := 0
	for path, acked := range l.acked {
		switch n := w.version(path); {
		case !acked:
			unknown++
			if n > 1 {
				w.t.Errorf("%s was written %d times", path, n)
			}
		case n != 1:
			w.t.Errorf("%s was acknowledged and written %d times", path, n)
		default:
			e2e.Eventually(w.t, "told of "+path, func() bool { return r.told(path) > 0 })
		}
		if n := r.told(path); n > 1 {
			w.t.Errorf("%s was told of %d times", path, n)
		}
	}
	if n := w.version("number"); n < l.counted || n > l.counted+l.unknown {
		w.t.Errorf("the number is %d after %d increments and %d that nobody knows of", n, l.counted, l.unknown)
	}
	if r.missed > 0 {
		w.t.Errorf("%d times some are said to be missed", r.missed)
	}
	w.t.Logf("%d writes, %d of which nobody knows; %d increments, and %d", len(l.acked), unknown, l.counted, l.unknown)
}

func (r *reader) told(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got["mcp/agent_api/"+path]
}
