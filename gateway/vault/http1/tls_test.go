package http1_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWhatIsLeftOfAnAnswerUnderTLSIsNoAnswer: what a server sends behind an answer may
// have been read from the connection already, with the record that the answer ended in or
// in one of its own. It is never the answer to what somebody else asks next.
func TestWhatIsLeftOfAnAnswerUnderTLSIsNoAnswer(t *testing.T) {
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	t.Cleanup(certs.Close)
	const unasked = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, size := range map[string]int{"small": 4, "larger than a buffer": 9000, "of several records": 40_000} {
		for how, evil := range map[string]string{"in the same record": unasked, "in another one": "\n" + unasked, "nothing": ""} {
			t.Run(name+", "+how, func(t *testing.T) {
				good := strings.Repeat("g", size)
				var conns atomic.Int64
				url := server(t, func(_ int, c net.Conn, _ *bufio.Reader) {
					conns.Add(1)
					held := &collected{Conn: c}
					s := tls.Server(held, certs.TLS)
					for r := bufio.NewReader(s); ; {
						if _, err := http.ReadRequest(r); err != nil {
							return
						}
						head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
						held.holds = true
						for _, part := range parts(head+good, evil) {
							_, _ = io.WriteString(s, part)
						}
						held.flush()
					}
				})
				tr := newTransport(t)
				roots := x509.NewCertPool()
				roots.AddCert(certs.Certificate())
				tr.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
				for range 3 {
					if _, body, err := ask(t.Context(), tr, "GET", "https"+strings.TrimPrefix(url, "http"), ""); err != nil || body != good {
						t.Fatalf("got %.20q, %v", body, err)
					}
				}
				if n := conns.Load(); evil == "" && n != 1 {
					t.Errorf("%d connections for an honest server", n)
				}
			})
		}
	}
}

// parts are what is written at a time: what follows a newline is in a record of its own.
func parts(answer, more string) []string {
	if own, ok := strings.CutPrefix(more, "\n"); ok {
		return []string{answer, own}
	}
	return []string{answer + more}
}

// collected is a connection that sends what was written to it at once.
type collected struct {
	net.Conn
	holds bool
	text  []byte
}

func (c *collected) Write(p []byte) (int, error) {
	if !c.holds {
		return c.Conn.Write(p)
	}
	c.text = append(c.text, p...)
	return len(p), nil
}

func (c *collected) flush() {
	c.holds = false
	_, _ = c.Conn.Write(c.text)
	c.text = nil
}
