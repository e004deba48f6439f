package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// receivers are the other systems that a gateway tells what happens: collectors of
// evidence and of traces.
type receivers struct {
	env  []string
	mu   sync.Mutex
	text map[string]*bytes.Buffer // by name
}

const canaryToken = "canary-sink-token-77e0"

// receive starts one of each kind. One more sink is down all the time, so its lines
// stay in the spool.
func receive(t *testing.T) *receivers {
	t.Helper()
	r := &receivers{text: map[string]*bytes.Buffer{}}
	https := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		z, err := gzip.NewReader(req.Body)
		if err == nil {
			_, err = io.Copy(r.of("https"), z)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	traces := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(r.of("traces"), req.Body)
	}))
	syslog, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { https.Close(); traces.Close(); _ = syslog.Close() })
	go func() {
		for {
			c, err := syslog.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(r.of("syslog"), c) }()
		}
	}()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	for name, raw := range map[string][]byte{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}), token: []byte(canaryToken)} {
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.env = []string{
		"AUDIT_SINKS=" + https.URL + "/" + canaryToken + ",syslog+tcp://" + syslog.Addr().String() + ",stdout,syslog+tcp://127.0.0.1:1",
		"AUDIT_SINK_CA=" + ca, "AUDIT_SINK_TOKEN_FILE=" + token, "AUDIT_SINK_HMAC_FILE=" + token, "OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.URL,
	}
	return r
}

// of is where what one receiver gets is kept.
func (r *receivers) of(name string) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.text[name] == nil {
			r.text[name] = &bytes.Buffer{}
		}
		return r.text[name].Write(p)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// lookIntoReceivers: when the gateway has ended, each collector of evidence has every
// line of the file, the spool has those of the sink that was down, the collector of
// traces has spans, and none has a canary.
func lookIntoReceivers(t *testing.T, r *receivers, g *stack.Gateway) {
	t.Helper()
	raw, err := os.ReadFile(g.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	var spooled []byte
	files, err := filepath.Glob(filepath.Join(g.LogDir, "audit.spool", "*", "*.jsonl"))
	for _, name := range files {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		spooled = append(spooled, part...)
	}
	if !bytes.Equal(spooled, raw) {
		t.Errorf("%d bytes wait for the sink that is down, want the %d of the file (%v)", len(spooled), len(raw), err)
	}
	e2e.Eventually(t, "the last line at every sink", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		last := raw[bytes.LastIndexByte(raw[:len(raw)-1], '\n')+1 : len(raw)-1]
		return bytes.Contains(r.text["https"].Bytes(), last) && bytes.Contains(r.text["syslog"].Bytes(), last)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := once(r.text["https"].Bytes()); !bytes.Equal(got, raw) {
		t.Errorf("the collector got %d bytes, want the %d of the file", len(got), len(raw))
	}
	for line := range bytes.Lines(raw) {
		if !bytes.Contains(r.text["syslog"].Bytes(), bytes.TrimSpace(line)) {
			t.Errorf("syslog lacks %s", line)
		}
	}
	if r.text["traces"] == nil || !bytes.Contains(r.text["traces"].Bytes(), []byte("kv.read")) {
		t.Error("the collector of traces has no span of kv.read")
	}
	for name, text := range r.text {
		if holdsCanary(text.String()) || strings.Contains(text.String(), canaryToken) {
			t.Errorf("%s holds the canary", name)
		}
	}
}

// once are the lines without those that came again: a batch whose answer was not seen is
// sent once more.
func once(text []byte) (out []byte) {
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		if !seen[string(line)] {
			seen[string(line)] = true
			out = append(out, line...)
		}
	}
	return out
}

// canaryForms are the secrets in every form that a sink could write them in.
func canaryForms() (all []string) {
	for _, secret := range []string{canary, canaryBase64, canaryKey, canarySigner, canaryToken} {
		upper := strings.ToUpper(hex.EncodeToString([]byte(secret)))
		all = append(all, secret, strings.ToLower(upper), upper, strings.ReplaceAll(secret, "=", "%3D"), strings.ReplaceAll(secret, "=", `\u003d`))
	}
	return all
}
