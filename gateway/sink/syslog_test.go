package sink_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/sink"
)

// listener is a syslog receiver: octet counting, RFC 5424.
type listener struct {
	*receiver
	t     *testing.T
	l     net.Listener
	mu    sync.Mutex
	conns []net.Conn
	read  int // messages after which it reads no more, 0 for all
	work  sync.WaitGroup
}

// listen listens at an address, or a free one, until the test or close ends it.
func listen(t *testing.T, address string) *listener {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, l, 0)
}

func serve(t *testing.T, l net.Listener, read int) *listener {
	s := &listener{receiver: newReceiver(), t: t, l: l, read: read}
	t.Cleanup(s.close)
	s.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.work.Go(func() { s.messages(c) })
		}
	})
	return s
}

func (s *listener) address() string { return s.l.Addr().String() }

// close ends the receiver like a crash: what it has not read is gone.
func (s *listener) close() {
	_ = s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

var header = regexp.MustCompile(`^<(110|108)>1 2026-11-27T10:00:00\.123456Z [!-~]+ portcullis [0-9]+ (intent|refusal) - (\{.*\})$`)

func (s *listener) messages(c net.Conn) {
	r := bufio.NewReader(c)
	for n := 1; s.read == 0 || n <= s.read; n++ {
		text, err := r.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			s.t.Errorf("got length %q", text)
			return
		}
		msg := make([]byte, size)
		if _, err := io.ReadFull(r, msg); err != nil {
			return // the connection ended inside a message
		}
		m := header.FindSubmatch(msg)
		if m == nil || (string(m[1]) == "108") != (string(m[2]) == "refusal") {
			s.t.Errorf("got message %q", msg)
			return
		}
		s.take(s.t, string(m[3])+"\n")
	}
}

// TestSyslogOverTCP: each line is a message of its own, in order.
func TestSyslogOverTCP(t *testing.T) {
	l := listen(t, "")
	s, stop := open(t, sink.Config{URLs: []string{"syslog+tcp://" + l.address()}})
	offer(s, 1, 2500)
	l.await(t, 2500)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestSyslogReceiverIsKilledAndRestored: a receiver that dies with lines unread in its
// kernel's buffer gets them again. Nothing is lost, nothing comes too early.
func TestSyslogReceiverIsKilledAndRestored(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := serve(t, first, 300) // and then it reads no more
	s, _ := open(t, sink.Config{URLs: []string{"syslog+tcp://" + l.address()}, Spool: t.TempDir(), SpoolBytes: 16 << 20})
	offer(s, 1, 400)
	l.await(t, 300)
	until(t, s, func(st sink.Status) bool { return st.Sent == 400 })
	l.close()
	offer(s, 401, 900)
	again := listen(t, l.address())
	again.take(t, string(line(1))+"\n")
	for seq := 2; seq <= 300; seq++ { // what the first one has
		again.take(t, string(line(seq))+"\n")
	}
	again.await(t, 900)
	until(t, s, func(st sink.Status) bool { return st.Up && st.Waiting == 0 && st.Lost == 0 })
}

// TestSyslogOverTLS: the receiver's certificate must be of the authority that is
// configured; without that nothing is sent, and the state says why.
func TestSyslogOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	l := serve(t, raw, 0)
	s, _ := open(t, sink.Config{URLs: []string{"syslog+tls://" + l.address()}, CA: ca})
	offer(s, 1, 1500)
	l.await(t, 1500)

	s, _ = open(t, sink.Config{URLs: []string{"syslog+tls://" + l.address()}})
	offer(s, 1, 1)
	until(t, s, func(st sink.Status) bool { return !st.Up && strings.Contains(st.Err, "certificate") && st.Waiting == 1 })
	if _, err := sink.New(sink.Config{URLs: []string{"syslog+tls://h.example"}, CA: "nowhere.pem"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the missing file named", err)
	}
}
