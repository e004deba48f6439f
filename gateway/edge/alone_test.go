package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// streaming is a gateway with a stream that says what it is told, and notes when its handler
// has returned and why it has ended.
type streaming struct {
	*httptest.Server
	say      chan string // "" ends the stream, "panic" does what it says
	returned chan bool
	ended    chan error // of the stream's context
	open     sync.WaitGroup
	log      lines
}

// lines is a log that is read while it is written.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStreaming(t *testing.T) *streaming {
	t.Helper()
	s := &streaming{say: make(chan string), returned: make(chan bool, 1), ended: make(chan error, 1)}
	e := newEdge(func(c *edge.Config) {
		c.Log, c.LogAll = slog.New(slog.NewTextHandler(&s.log, nil)), true
		c.Server = slog.New(slog.NewTextHandler(&s.log, nil))
	})
	e.Handle("GET", "/events", func(w http.ResponseWriter, r *http.Request, _ *call.Caller) {
		out := edge.NewEventStream(w, time.Minute)
		out.Serve(r, &s.open, "data: first\n\n", func(ctx context.Context) { s.ended <- s.serve(ctx, out) })
		s.returned <- true
	})
	s.Server = serveH2(t, e)
	return s
}

func (s *streaming) serve(ctx context.Context, out io.Writer) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case text := <-s.say:
			switch text {
			case "":
				return nil
			case "panic":
				s.ended <- nil
				panic("canary")
			}
			_, _ = io.WriteString(out, text)
		}
	}
}

func (s *streaming) ask(t *testing.T, version string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /events %s\r\nHost: 127.0.0.1\r\nX-API-Key: good\r\n\r\n", version)
	return conn, bufio.NewReader(conn)
}

// What net/http keeps of a request is let go while its stream waits.
func TestAStreamGoesOnAlone(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		s := newStreaming(t)
		_, in := s.ask(t, version)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || !resp.Close || resp.ContentLength >= 0 {
			t.Errorf("%s: got %+v", version, resp)
		}
		<-s.returned
		go func() {
			for _, text := range []string{"data: second\n\n", strings.Repeat("data: x\n", 2000) + "\n", ""} {
				s.say <- text
			}
		}()
		body, err := io.ReadAll(resp.Body)
		if want := "data: first\n\ndata: second\n\n" + strings.Repeat("data: x\n", 2000) + "\n"; err != nil || string(body) != want {
			t.Errorf("%s: got %d bytes and %v, want %d", version, len(body), err, len(want))
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection goes on: %v", version, err)
		}
		s.open.Wait()
		if n := strings.Count(s.log.String(), "path=/events status=200"); n != 1 {
			t.Errorf("%s: %d records, want 1:\n%s", version, n, s.log.String())
		}
	}
}

// A stream is on record when it has ended, which it does with its client.
func TestAStreamEndsWithItsClient(t *testing.T) {
	s := newStreaming(t)
	conn, _ := s.ask(t, "HTTP/1.1")
	<-s.returned
	if log := s.log.String(); log != "" {
		t.Errorf("a stream is on record before it has ended: %s", log)
	}
	_ = conn.Close()
	if err := <-s.ended; err == nil {
		t.Error("the stream has ended without its client")
	}
	s.open.Wait()
	if !strings.Contains(s.log.String(), "path=/events status=200") {
		t.Errorf("the stream is not on record: %s", s.log.String())
	}
}

// A panic ends its stream and nothing else.
func TestAPanicOfAStreamThatIsAlone(t *testing.T) {
	s := newStreaming(t)
	_, in := s.ask(t, "HTTP/1.1")
	<-s.returned
	s.say <- "panic"
	_, _ = io.Copy(io.Discard, in)
	s.open.Wait()
	if log := s.log.String(); !strings.Contains(log, "panic in a handler") || strings.Contains(log, "canary") {
		t.Errorf("got %s", log)
	}
}

// Over HTTP/2 a connection is many requests', so the handler stays.
func TestAStreamOfAConnectionThatIsShared(t *testing.T) {
	s := newStreaming(t)
	c := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	c.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/events", nil)
	r.Header.Set("X-API-Key", "good")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	s.say <- "data: second\n\n"
	if len(s.returned) > 0 {
		t.Error("the handler has returned")
	}
	s.say <- ""
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "data: first\n\ndata: second\n\n" {
		t.Errorf("got %q and %v", body, err)
	}
	<-s.returned
}
