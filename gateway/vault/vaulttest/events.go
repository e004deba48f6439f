package vaulttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// Events stands in for the event stream of Vault Enterprise, which is not available
// for tests. It speaks the documented protocol (Vault docs, event notifications) and
// sends everything else on to a real Vault, if there is one.
type Events struct {
	URL string
	t   testing.TB

	mu    sync.Mutex // guards what follows
	conns map[*websocket.Conn]struct{}
	asked []http.Header
}

// StartEvents starts a server that ends with the test. upstream is a Vault's address,
// or empty.
func StartEvents(t testing.TB, upstream string) *Events {
	t.Helper()
	e := &Events{t: t, conns: map[*websocket.Conn]struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/sys/events/subscribe/{kinds}", e.subscribe)
	if upstream != "" {
		u, err := url.Parse(upstream)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("/", httputil.NewSingleHostReverseProxy(u))
	}
	srv := httptest.NewServer(mux)
	e.URL = srv.URL
	t.Cleanup(func() { e.Drop(); srv.Close() })
	return e
}

func (e *Events) subscribe(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("kinds") != "kv*" || r.URL.RawQuery != "json=true" {
		e.t.Errorf("asked for %s", r.URL)
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	e.mu.Lock()
	e.conns[c] = struct{}{}
	e.asked = append(e.asked, r.Header.Clone())
	e.mu.Unlock()
	<-c.CloseRead(r.Context()).Done() // which answers pings
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// Asked returns the header of each request for the stream.
func (e *Events) Asked() []http.Header {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]http.Header(nil), e.asked...)
}

// Open is the number of open streams.
func (e *Events) Open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// Send sends a message as it is to all.
func (e *Events) Send(message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		_ = c.Write(e.t.Context(), websocket.MessageText, []byte(message)) // one that has gone hears nothing
	}
}

// Drop breaks every stream.
func (e *Events) Drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		_ = c.CloseNow() // it may have ended
	}
}

// Notification is one as Vault words it. The path is whole, like secret/data/app.
func Notification(namespace, path, operation string, version int) string {
	mount, _, _ := strings.Cut(path, "/")
	return fmt.Sprintf(`{"id":"a3be9fb1-b514-519f-5b25-b6f144a8c1ce","source":"https://vaultproject.io/","specversion":"1.0","type":"*",`+
		`"data":{"event":{"id":"a3be9fb1-b514-519f-5b25-b6f144a8c1ce","metadata":{"current_version":"%d","data_path":%q,"modified":"true","oldest_version":"0","operation":%q,"path":%q}},`+
		`"event_type":"kv-v2/%s","namespace":%q,"plugin_info":{"mount_class":"secret","mount_accessor":"kv_5dc4d18e","mount_path":"%s/","plugin":"kv"}},`+
		`"datacontentype":"application/cloudevents","time":"2026-01-01T00:00:00.0Z"}`, version, path, operation, path, operation, namespace, mount)
}
