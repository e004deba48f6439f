package sink_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/sink"
)

// collector is an HTTPS receiver that checks what it is sent.
type collector struct {
	*receiver
	*httptest.Server
	t       *testing.T
	status  atomic.Int64 // what it answers, 0 for taking lines
	lost    atomic.Int64 // so many batches are taken, and the answer is lost
	hits    atomic.Int64
	mu      sync.Mutex
	batches map[string]int // by webhook-id
	biggest int            // lines
}

const (
	bearer = "canary-token-51b7"
	key    = "canary-key-9f20"
)

func collect(t *testing.T) (*collector, sink.Config) {
	t.Helper()
	c := &collector{receiver: newReceiver(), t: t, batches: map[string]int{}}
	c.Server = httptest.NewTLSServer(c)
	t.Cleanup(c.Server.Close)
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return c, sink.Config{
		URLs: []string{c.URL + "/in?source=canary-query"}, CA: file("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})),
		TokenFile: file("token", []byte(bearer+"\n")), HMACFile: file("key", []byte(key)), Spool: filepath.Join(dir, "spool"), SpoolBytes: 16 << 20,
	}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.hits.Add(1)
	if status := c.status.Load(); status != 0 {
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(int(status))
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(id + "." + at + "." + string(raw)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("Webhook-Signature") != want {
		c.t.Errorf("got signature %q, want %q", r.Header.Get("Webhook-Signature"), want)
	}
	if r.Header.Get("Authorization") != "Bearer "+bearer || r.Header.Get("Content-Type") != "application/x-ndjson" || r.URL.Query().Get("source") != "canary-query" {
		c.t.Errorf("got %v to %s", r.Header, r.URL)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		c.t.Error(err)
		return
	}
	lines, err := io.ReadAll(z)
	if err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	c.batches[id]++
	c.biggest = max(c.biggest, bytes.Count(lines, []byte{'\n'}))
	c.mu.Unlock()
	c.take(c.t, string(lines))
	if c.lost.Add(-1) >= 0 {
		panic(http.ErrAbortHandler)
	}
}

// TestHTTPSReceiverIsDownAndBack: lines come in batches, signed and compressed. What a
// receiver refused, or took without saying so, is sent again under the same id.
func TestHTTPSReceiverIsDownAndBack(t *testing.T) {
	l, c := collect(t)
	var log lockedBuffer
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, stop := open(t, c)
	offer(s, 1, 100)
	l.await(t, 100)
	l.status.Store(503)
	offer(s, 101, 2500)
	until(t, s, func(st sink.Status) bool { return st.Failures >= 3 && st.Disk > 0 })
	if st := s.Status()[0]; st.Up || st.Since.IsZero() || !strings.Contains(st.Err, "503") {
		t.Errorf("got %+v, want it down", st)
	}
	l.lost.Store(2)
	l.status.Store(0)
	l.await(t, 2500)
	until(t, s, func(st sink.Status) bool { return st.Up && st.Waiting == 0 && st.Disk == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	twice := 0
	for _, n := range l.batches {
		if n > 1 {
			twice++
		}
	}
	if twice == 0 || l.biggest < 500 || l.biggest > 1000 {
		t.Errorf("%d batches came twice under one id, the biggest has %d lines", twice, l.biggest)
	}
	for _, want := range []string{"an audit sink takes nothing", "an audit sink takes lines again"} {
		if strings.Count(log.String(), want) == 0 {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	if text := log.String(); strings.Contains(text, "canary") || strings.Count(text, "takes nothing") > 3 {
		t.Errorf("the log holds a credential, or a line an attempt:\n%s", text)
	}
}

// TestRedirectIsNotFollowed: evidence and credentials go where the operator said.
func TestRedirectIsNotFollowed(t *testing.T) {
	l, c := collect(t)
	l.status.Store(http.StatusTemporaryRedirect)
	s, _ := open(t, c)
	offer(s, 1, 1)
	until(t, s, func(st sink.Status) bool { return st.Failures >= 2 })
	if st := s.Status()[0]; !strings.Contains(st.Err, "redirects are not followed") || st.Waiting != 1 {
		t.Errorf("got %+v", st)
	}
}

// TestReceiverIsLeftAloneAsItAsks: Retry-After is longer than any backoff of the test.
func TestReceiverIsLeftAloneAsItAsks(t *testing.T) {
	l, c := collect(t)
	inner := l.Config.Handler
	l.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		inner.ServeHTTP(w, r)
	})
	l.status.Store(429)
	c.Backoff = time.Nanosecond
	s, stop := open(t, c)
	offer(s, 1, 1)
	until(t, s, func(st sink.Status) bool { return st.Failures == 1 && st.Disk > 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := l.hits.Load(); n != 1 {
		t.Errorf("it was asked %d times, want once", n)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
