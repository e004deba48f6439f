package vault_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/vaulttest"
)

// heard is what a listener has heard.
type heard struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (h *heard) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// Write makes it a log.
func (h *heard) Write(p []byte) (int, error) {
	h.add("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// listen listens until the test ends, or stop is called.
func listen(t *testing.T, cl *vault.Client) (h *heard, stop func() error) {
	t.Helper()
	h = &heard{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- cl.Listen(ctx, vault.Listener{
			Mount: "secret", Opened: func() { h.add("opened") }, Closed: func() { h.add("closed") },
			Changed: func(c vault.Change) { h.add("%s %s %d", c.Operation, c.Path, c.Version) },
		})
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return h, stop
}

func TestListen(t *testing.T) {
	e := vaulttest.StartEvents(t, "")
	book, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	log := &heard{}
	cl := newClient(t, vault.Config{
		Addr: e.URL, Namespace: "team/", Login: vault.Login{Token: "own"}, Registry: leases.Location{Mount: "secret", Path: book},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	h, stop := listen(t, cl)
	e2e.Eventually(t, "a stream", func() bool { return e.Open() == 1 })
	good := vaulttest.Notification("team/", "secret/data/a/b", "data-write", 7)
	for _, message := range []string{
		good,
		"", "nonsense", "[]", `{"data":{"event":{"metadata":{"path":7,"operation":"data-write"}}}}`, `{"data":{}}`, // skipped
		strings.Replace(good, "team/", "other/", 1), strings.Replace(good, "team/", "", 1),
		vaulttest.Notification("team/", "other/data/a/b", "data-write", 1),
		vaulttest.Notification("team/", "secret2/data/a/b", "data-write", 1),
		vaulttest.Notification("team/", "secret/config", "config-write", 1),
		vaulttest.Notification("team/", "secret/data/a/../b", "data-write", 1),
		vaulttest.Notification("team/", "secret/data/mcp/.leases/x", "data-write", 1),
		strings.Replace(good, `"modified":"true"`, `"modified":"false"`, 1),
		strings.Replace(good, `"current_version":"7",`, "", 1),
		vaulttest.Notification("team/", "secret/metadata/a/c", "metadata-delete", 0),
	} {
		e.Send(message)
	}
	want := "opened\ndata-write a/b 7\ndata-write a/b 0\nmetadata-delete a/c 0"
	e2e.Eventually(t, "the last change", func() bool { return strings.Contains(h.String(), "a/c") })
	if h.String() != want {
		t.Errorf("heard %s", h)
	}
	asked := e.Asked()[0]
	if asked.Get("X-Vault-Token") != "own" || asked.Get("X-Vault-Namespace") != "team/" || asked.Get("X-Vault-Request") != "true" {
		t.Errorf("asked with %v", asked)
	}

	e.Drop()
	e2e.Eventually(t, "another stream", func() bool { return strings.HasSuffix(h.String(), "\nclosed\nopened") })
	e.Send(strings.Repeat("x", 2<<20)) // too long: that ends the connection
	e2e.Eventually(t, "a third stream", func() bool { return strings.Count(h.String(), "opened") == 3 })
	if err := stop(); err != nil || !strings.HasSuffix(h.String(), "\nclosed") {
		t.Errorf("at the end: %v, heard %s", err, h)
	}
	if s := log.String(); strings.Contains(s, e.URL) || strings.Contains(s, "own") || strings.Count(s, "level=WARN") != 2 {
		t.Errorf("the log:\n%s", s)
	}
}

// TestListenOnCommunityEdition asks a real Vault that has no event stream.
func TestListenOnCommunityEdition(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{Token: call.Secret(v.Token)}})
	err := cl.Listen(t.Context(), vault.Listener{Mount: "secret"})
	if !errors.Is(err, vault.ErrNoEvents) {
		t.Errorf("got %v", err)
	}
	if n := v.Count("sys/events/subscribe/kv*"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestListenFollowsAStandby(t *testing.T) {
	e := vaulttest.StartEvents(t, "")
	to, asked := e.URL, 0
	standby := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Location", to+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer standby.Close()
	h, stop := listen(t, newClient(t, vault.Config{Addr: standby.URL, Nodes: []string{e.URL}, Login: vault.Login{Token: "own"}}))
	e2e.Eventually(t, "a stream", func() bool { return h.String() == "opened" })
	if err := stop(); err != nil || asked != 1 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
}

// A token goes nowhere but to the same request of another node.
func TestListenRedirectedElsewhere(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent on", r.URL)
	}))
	defer other.Close()
	log := &heard{}
	tried := make(chan struct{}, 16)
	cl := stub(t, vault.Config{Log: slog.New(slog.NewTextHandler(log, nil))}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL+"/v1/sys/seal")
		w.WriteHeader(http.StatusTemporaryRedirect)
		tried <- struct{}{}
	})
	h, stop := listen(t, cl)
	<-tried
	<-tried
	if err := stop(); err != nil || h.String() != "" || strings.Count(log.String(), "WARN") != 1 {
		t.Errorf("got %v, heard %s, log %s", err, h, log)
	}
}

// TestListenWithTheNewToken: the stream is opened again when the gateway has another
// token.
func TestListenWithTheNewToken(t *testing.T) {
	e := vaulttest.StartEvents(t, "")
	file := writeFile(t, "first")
	cl := newClient(t, vault.Config{Addr: e.URL, Login: vault.Login{TokenFile: file}})
	run(t, cl)
	h, _ := listen(t, cl)
	e2e.Eventually(t, "a stream", func() bool { return e.Open() == 1 })
	if err := os.WriteFile(file, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "another stream", func() bool { return h.String() == "opened\nclosed\nopened" })
	if asked := e.Asked(); asked[len(asked)-1].Get("X-Vault-Token") != "second" {
		t.Errorf("asked with %v", asked)
	}
}

func TestListenWithADeadToken(t *testing.T) {
	e := vaulttest.StartEvents(t, "")
	file := writeFile(t, "first")
	there := forward(t, e.URL)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") == "second" {
			there.ServeHTTP(w, r)
			return
		}
		if err := os.WriteFile(file, []byte("second"), 0o600); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`))
	}))
	t.Cleanup(refusing.Close)
	h, stop := listen(t, newClient(t, vault.Config{Addr: refusing.URL, Login: vault.Login{TokenFile: file}}))
	e2e.Eventually(t, "a stream", func() bool { return h.String() == "opened" })
	_ = stop()
}

// TestListenOverTLS: the stream has the TLS settings of all else, and is no HTTP/2.
func TestListenOverTLS(t *testing.T) {
	e := vaulttest.StartEvents(t, "")
	srv := httptest.NewUnstartedServer(forward(t, e.URL))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	h, stop := listen(t, newClient(t, vault.Config{Addr: srv.URL, CACert: ca, Login: vault.Login{Token: "own"}}))
	e2e.Eventually(t, "a stream", func() bool { return h.String() == "opened" })
	_ = stop()

	log := &heard{}
	cl := newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}, Log: slog.New(slog.NewTextHandler(log, nil))})
	h, stop = listen(t, cl)
	e2e.Eventually(t, "a failure", func() bool { return strings.Contains(log.String(), "certificate") })
	if _ = stop(); h.String() != "" || len(e.Asked()) != 1 {
		t.Errorf("a server that nobody vouches for: heard %s", h)
	}
}

// TestListenToSilence: a stream at whose other end nothing answers is opened again.
func TestListenToSilence(t *testing.T) {
	over := make(chan struct{})
	cl := stub(t, vault.Config{Timeout: 500 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		<-over // and reads nothing
		_ = c.CloseNow()
	})
	t.Cleanup(func() { close(over) })
	h, stop := listen(t, cl)
	e2e.Eventually(t, "another stream", func() bool { return h.String() == "opened\nclosed\nopened" })
	_ = stop()
}

// forward sends everything on.
func forward(t *testing.T, to string) http.Handler {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(u)
}
