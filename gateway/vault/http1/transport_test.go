package http1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/retry"
	"portcullis/gateway/vault/http1"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func newTransport(t *testing.T) *http1.Transport {
	t.Helper()
	tr := &http1.Transport{
		Dial: new(net.Dialer).DialContext, HandshakeTimeout: patience, MaxActive: 8, MaxIdle: 4, IdleTimeout: time.Hour,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// server answers each connection with a script; n counts the connections from 1.
func server(t *testing.T, script func(n int, c net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				script(n, c, bufio.NewReader(c))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// answers is a server that answers every request on a connection with the same text.
func answers(t *testing.T, text string) (url string, conns *atomic.Int64) {
	t.Helper()
	conns = new(atomic.Int64)
	return server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		conns.Add(1)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}), conns
}

// ask sends a request and reads the whole answer.
func ask(ctx context.Context, tr *http1.Transport, method, url, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, from)
	if err != nil {
		return 0, "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// TestForms reads every form of an answer three times over, and looks whether the
// connection was kept.
func TestForms(t *testing.T) {
	cases := map[string]struct {
		method, text string
		status       int
		body         string
		kept         bool
	}{
		"length":            {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true},
		"chunks":            {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", 200, "hi", true},
		"trailer":           {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n", 200, "hi", true},
		"nothing":           {"PUT", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		"not modified":      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", true},
		"head":              {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "", true},
		"length of nothing": {"GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "", true},
		"early hints":       {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true},
		"close":             {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false},
		"old server":        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false},
		"an answer more":    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, "hi", false},
		"both lengths":      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			url, conns := answers(t, tc.text)
			tr := newTransport(t)
			for range 3 {
				status, body, err := ask(t.Context(), tr, tc.method, url, "")
				if err != nil || status != tc.status || body != tc.body {
					t.Fatalf("got %d %q, %v; want %d %q", status, body, err, tc.status, tc.body)
				}
			}
			if n := conns.Load(); (n == 1) != tc.kept {
				t.Errorf("%d connections for three requests, kept: want %v", n, tc.kept)
			}
		})
	}
}

// TestHostileAnswers: whatever a server sends, the exchange ends, with an error, within
// its bounds, and its connection is not used again.
func TestHostileAnswers(t *testing.T) {
	forever := func(piece string) func(net.Conn) {
		return func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, piece); err != nil {
					return
				}
			}
		}
	}
	once := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	cases := map[string]func(net.Conn){
		"endless header":      func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"); forever("A: b\r\n")(c) },
		"endless field":       func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nA: "); forever("bbbbbbbb")(c) },
		"endless status":      forever("HTTP/1.1 200 "),
		"endless hints":       forever("HTTP/1.1 103 Early Hints\r\n\r\n"),
		"large header":        once("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 80<<10) + "\r\nContent-Length: 0\r\n\r\n"),
		"not HTTP":            once("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
		"nothing":             once(""),
		"half a header":       once("HTTP/1.1 200 OK\r\nContent-Le"),
		"two lengths":         once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
		"negative length":     once("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
		"folded field":        once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n bad: 1\r\n\r\nhi"),
		"unknown encoding":    once("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
		"switch of protocols": once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
		"cut body":            once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
		"cut chunk":           once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi"),
		"bad chunk":           once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n"),
		"endless extension":   func(c net.Conn) { once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;")(c); forever("x")(c) },
	}
	for name, send := range cases {
		t.Run(name, func(t *testing.T) {
			url := server(t, func(n int, c net.Conn, r *bufio.Reader) {
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				if n > 1 {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
					return
				}
				send(c)
			})
			tr := newTransport(t)
			if status, body, err := ask(t.Context(), tr, "GET", url, ""); err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %d %.40q, %v; want an error at once", status, body, err)
			}
			if _, body, err := ask(t.Context(), tr, "GET", url, ""); err != nil || body != "good" {
				t.Errorf("afterwards: %q, %v", body, err)
			}
		})
	}
}

// TestSlowAnswersEndWithTheirContext: a byte a while does not keep an exchange alive.
func TestSlowAnswersEndWithTheirContext(t *testing.T) {
	drip := func(head string) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, head)
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				retry.Sleep(t.Context(), 5*time.Millisecond)
			}
		}
	}
	for name, head := range map[string]string{"head": "HTTP/1.1 200 OK\r\nA: ", "body": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"} {
		url := server(t, drip(head))
		t.Run(name+", deadline", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			var timeout interface{ Timeout() bool }
			if _, _, err := ask(ctx, newTransport(t), "GET", url, ""); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("got %v, want a timeout", err)
			}
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			if _, _, err := ask(ctx, newTransport(t), "GET", url, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want canceled", err)
			}
		})
	}
}

// TestClosedConnectionsAreNotUsed: a server may close a kept connection at any time, and
// what it sends on one unasked is no answer. A change meets neither.
func TestClosedConnectionsAreNotUsed(t *testing.T) {
	for name, parting := range map[string]string{"closed": "", "unasked answer": "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"} {
		t.Run(name, func(t *testing.T) {
			parted := make(chan struct{}, 8)
			go1 := make(chan struct{}, 8)
			url := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
				<-go1
				_, _ = io.WriteString(c, parting)
				_ = c.Close()
				parted <- struct{}{}
			})
			tr := newTransport(t)
			for range 5 {
				if _, body, err := ask(t.Context(), tr, "PUT", url, "change"); err != nil || body != "good" {
					t.Fatalf("got %q, %v", body, err)
				}
				go1 <- struct{}{}
				<-parted
			}
		})
	}
}

// fails is a connection whose first writes fail without a byte sent.
type fails struct {
	*net.TCPConn
	left *atomic.Int64
}

func (f fails) Write(p []byte) (int, error) {
	if f.left.Add(-1) >= 0 {
		return 0, errors.New("nothing was written")
	}
	return f.TCPConn.Write(p)
}

// TestUnsentRequestsAreRepeated: on a kept connection that takes nothing, a request has
// not been sent, and goes over another one. The body is sent whole.
func TestUnsentRequestsAreRepeated(t *testing.T) {
	var got atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(srv.Close)
	var left atomic.Int64
	tr := newTransport(t)
	tr.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return fails{c.(*net.TCPConn), &left}, nil
	}
	for i := range 3 {
		left.Store(int64(min(i, 1)))
		var conns int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { conns++ }})
		if _, body, err := ask(ctx, tr, "PUT", srv.URL, "change"); err != nil || body != "change" || conns != min(i, 1)+1 {
			t.Errorf("got %q over %d connections, %v", body, conns, err)
		}
	}
	if got.Load() != 3 {
		t.Errorf("%d requests arrived, want 3", got.Load())
	}
	left.Store(1)
	tr.CloseIdleConnections()
	if _, _, err := ask(t.Context(), tr, "PUT", srv.URL, "change"); err == nil {
		t.Error("a new connection that takes nothing is no error")
	}
}

// TestRefusedWhileSending: the answer of a server that does not read the body counts.
func TestRefusedWhileSending(t *testing.T) {
	url := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
		_, _ = io.Copy(io.Discard, r)
	})
	if status, _, err := ask(t.Context(), newTransport(t), "PUT", url, strings.Repeat("x", http1.MaxBody)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, %v", status, err)
	}
}

// TestPlacesAreBounded: no more exchanges run at once than may, and who waits for a place
// can leave.
func TestPlacesAreBounded(t *testing.T) {
	hold, arrived := make(chan struct{}), make(chan struct{}, 8)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-hold }))
	t.Cleanup(srv.Close)
	tr := newTransport(t)
	tr.MaxActive = 2
	done := make(chan error, 2)
	for range 2 {
		go func() { _, _, err := ask(t.Context(), tr, "GET", srv.URL, ""); done <- err }()
	}
	<-arrived
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := ask(ctx, tr, "GET", srv.URL, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third one: %v", err)
	}
	close(hold)
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if _, _, err := ask(t.Context(), tr, "GET", srv.URL, ""); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestTakes names what is left to http.Transport.
func TestTakes(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*http.Request)
		want   bool
	}{
		"a read":          {func(*http.Request) {}, true},
		"a small body":    {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 }, true},
		"a large body":    {func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, http1.MaxBody+1 }, false},
		"unknown length":  {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1 }, false},
		"not known empty": {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("")) }, false},
		"upgrade":         {func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, false},
		"expectation":     {func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, false},
		"tunnel":          {func(r *http.Request) { r.Method = http.MethodConnect }, false},
		"another scheme":  {func(r *http.Request) { r.URL.Scheme = "unix" }, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://vault.test/", nil)
		r.Body = nil
		tc.change(r)
		if got := http1.Takes(r); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// TestHeadersAreNotInjected: what is no header does not get onto the wire.
func TestHeadersAreNotInjected(t *testing.T) {
	url, conns := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	for i, h := range []http.Header{{"A": {"b\r\nC: d"}}, {"A\r\nB": {"c"}}, {"A b": {"c"}}, {"A": {"\x00"}}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		if resp, err := newTransport(t).RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("case %d: sent", i)
		}
	}
	if conns.Load() != 0 {
		t.Errorf("%d connections", conns.Load())
	}
}

// ExampleTransport shows the two transports beside each other.
func ExampleTransport() {
	direct := &http1.Transport{Dial: new(net.Dialer).DialContext, MaxActive: 16, MaxIdle: 16, IdleTimeout: time.Minute}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer srv.Close()
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, srv.URL, nil)
	rt := http.DefaultTransport
	if http1.Takes(req) {
		rt = direct
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, _ := io.ReadAll(resp.Body)
	fmt.Println(string(raw), resp.Body.Close())
	// Output: hello <nil>
}

// TestIdleConnectionsAreClosedAtAnyTime: also before and while the first request is sent,
// as when a gateway stops that has just started (shown by the race detector).
func TestIdleConnectionsAreClosedAtAnyTime(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	for range 20 {
		tr := &http1.Transport{Dial: new(net.Dialer).DialContext, MaxActive: 1, MaxIdle: 1, IdleTimeout: time.Minute}
		var wg sync.WaitGroup
		wg.Go(tr.CloseIdleConnections)
		wg.Go(func() {
			resp, err := (&http.Client{Transport: tr}).Get(s.URL)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
		wg.Wait()
		tr.CloseIdleConnections()
	}
}
