package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"portcullis/gateway/auth/authtest"
)

// pipes is a listener in memory.
type pipes struct {
	next   chan net.Conn
	closed chan struct{}
	begun  atomic.Int64 // requests
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *pipes) Close() error   { close(p.closed); return nil }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.next <- there
	return here
}

// pacedServer serves what the gateway serves connections with, in memory: /echo reads its
// body and answers with as many bytes, /refuse reads nothing of it.
func pacedServer(t *testing.T, config *tls.Config) *pipes {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { known(r); _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) { known(r); w.WriteHeader(http.StatusTooManyRequests) })
	mux.HandleFunc("/nobody", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/wait", func(_ http.ResponseWriter, r *http.Request) { known(r); <-r.Context().Done(); wasted(r) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			_, _ = w.Write(make([]byte, 32<<10))
		}
	})
	l := &pipes{next: make(chan net.Conn), closed: make(chan struct{})}
	counted := func(w http.ResponseWriter, r *http.Request) { l.begun.Add(1); mux.ServeHTTP(w, r) }
	cs := newConns(100, 100, nil)
	s := &http.Server{
		Handler: paced(http.HandlerFunc(counted)), ConnState: cs.state, ConnContext: withConn, HTTP2: http2Config(), Protocols: protocols(), TLSConfig: cs.spreadHandshakes(config),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	done := make(chan error)
	go func() {
		if config == nil {
			done <- s.Serve(cs.listen(l))
		} else {
			done <- s.ServeTLS(cs.listen(l), "", "")
		}
	}()
	t.Cleanup(func() { _ = s.Close(); <-done; time.Sleep(time.Second) }) // in which pauses end
	return l
}

// frames are what is sent without end, by kind.
var frames = map[string]func(f *http2.Framer, i int) error{
	"empty DATA": func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header(http.MethodPost, "/echo"), EndHeaders: true})
		}
		return f.WriteData(1, false, nil)
	},
	"SETTINGS":      func(f *http2.Framer, _ int) error { return f.WriteSettings() },
	"PING acks":     func(f *http2.Framer, _ int) error { return f.WritePing(true, [8]byte{}) },
	"WINDOW_UPDATE": func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) },
	"PRIORITY": func(f *http2.Framer, i int) error {
		return f.WritePriority(uint32(2*i+3), http2.PriorityParam{StreamDep: 1})
	},
	"bodies of nobody known": func(f *http2.Framer, i int) error {
		id := uint32(2*(i/64) + 1)
		if i%64 == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header(http.MethodPost, "/nobody"), EndHeaders: true})
		}
		return f.WriteData(id, false, make([]byte, 1<<10))
	},
	"unknown frames": func(f *http2.Framer, _ int) error { return f.WriteRawFrame(0xbe, 0, 0, nil) },
	"empty CONTINUATION": func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3})
		}
		return f.WriteContinuation(3, false, nil)
	},
}

// TestFramesThatAskForNothing: however many come, a connection gets its share of them
// read, over TLS as well. The clock is the test's: nothing but the gateway's own pauses
// lets time pass.
func TestFramesThatAskForNothing(t *testing.T) {
	certificate := authtest.NewCA("server").Server().TLS()
	for name, write := range frames {
		for _, secure := range []bool{false, true} {
			if secure && name != "empty DATA" {
				continue // beneath TLS all frames are alike
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					n := flood(t, secure, certificate, write, 2*(paceWindow+paceStream+2*paceBurst))
					free := paceBurst
					switch name {
					case "empty DATA":
						free += paceWindow // somebody may read what comes
					case "bodies of nobody known":
						free += paceWindow + paceStream
					}
					if least := time.Duration(n-free) * time.Second / paceRate; time.Since(began) < least/2 {
						t.Errorf("%d bytes of frames were read in %s, want at least about %s", n, time.Since(began), least)
					}
				})
			})
		}
	}
}

// flood sends so many bytes of frames, and returns how many were taken before the gateway
// closed the connection.
func flood(t *testing.T, secure bool, certificate tls.Certificate, write func(*http2.Framer, int) error, most int) (n int) {
	t.Helper()
	var config *tls.Config
	if secure {
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	}
	c := pacedServer(t, config).dial()
	defer func() { _ = c.Close() }()
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	var out bytes.Buffer
	f := http2.NewFramer(&out, nil)
	f.AllowIllegalWrites = true
	out.WriteString(http2.ClientPreface)
	_ = f.WriteSettings()
	for i := 0; n < most; {
		for ; out.Len() < 2<<10; i++ {
			if err := write(f, i); err != nil {
				t.Fatal(err)
			}
		}
		k, err := c.Write(out.Bytes())
		n += k
		if err != nil {
			return n
		}
		out.Reset()
	}
	return n
}

func header(method, path string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "x"}, {":path", path}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	return b.Bytes()
}

// TestWhatClientsSendIsReadAtOnce: many requests, long headers, bodies that are read or
// refused now and then, and large answers wait for nothing.
func TestWhatClientsSendIsReadAtOnce(t *testing.T) {
	const upload = 8 << 20
	for name, work := range map[string]func(t *testing.T, do func(path, header string, body int)){
		"small requests": func(_ *testing.T, do func(path, header string, body int)) {
			for range 3000 {
				do("/echo", strings.Repeat("x", 100), 0)
			}
		},
		"tokens of 8 KiB": func(_ *testing.T, do func(path, header string, body int)) {
			for range 300 {
				do("/echo", strings.Repeat("x", 8<<10), 0)
			}
		},
		"small bodies": func(_ *testing.T, do func(path, header string, body int)) {
			for range 1000 {
				do("/echo", "", 50)
			}
		},
		"uploads and answers": func(_ *testing.T, do func(path, header string, body int)) { do("/echo", "", upload) },
		"a download":          func(_ *testing.T, do func(path, header string, body int)) { do("/large", "", 0) },
		"large refusals": func(_ *testing.T, do func(path, header string, body int)) {
			for range 6 {
				do("/refuse", "", upload)
				do("/echo", "", 50)
			}
		},
		"small refusals": func(_ *testing.T, do func(path, header string, body int)) {
			for range 300 {
				do("/refuse", "", 50)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := pacedServer(t, nil)
				tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial(), nil }}
				tr.Protocols.SetUnencryptedHTTP2(true)
				defer tr.CloseIdleConnections()
				began := time.Now()
				work(t, func(path, header string, body int) { exchangeOf(t, tr, path, header, body) })
				if d := time.Since(began); d != 0 {
					t.Errorf("it was made to wait for %s", d)
				}
			})
		})
	}
}

func exchangeOf(t *testing.T, tr *http.Transport, path, header string, body int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x"+path, io.LimitReader(zeros{}, int64(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", header)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("got HTTP/%d, %v", resp.ProtoMajor, err)
	}
}

// zeros are bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestRequestsOfNobodyKnown: those of whom nobody gets to know who sent them begin
// slowly, and all are answered.
func TestRequestsOfNobodyKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, each = 5, 20
		l := pacedServer(t, nil)
		f, answered := l.speak()
		began := time.Now()
		for i := range n * each {
			openStream(t, f, i, "/nobody")
			if i%each == each-1 {
				for range each {
					<-answered
				}
			}
		}
		if least := n*each*paceTurn - paceAhead - paceTurn; time.Since(began) < least {
			t.Errorf("%d requests were answered in %s, want at least %s", n*each, time.Since(began), least)
		}
	})
}

// speak begins to speak HTTP/2, and returns a channel that hears of each stream that is
// answered.
func (p *pipes) speak() (*http2.Framer, <-chan struct{}) {
	conn, answered := p.dial(), make(chan struct{}, 10_000)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	go func() {
		defer func() { _ = conn.Close() }()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if frame.Header().Flags.Has(http2.FlagHeadersEndStream) && frame.Header().StreamID > 0 {
				answered <- struct{}{}
			}
		}
	}()
	_ = f.WriteSettings()
	return f, answered
}

// openStream sends the nth request of a connection.
func openStream(t *testing.T, f *http2.Framer, n int, path string) (id uint32) {
	t.Helper()
	id = uint32(2*n + 1)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header(http.MethodGet, path), EndHeaders: true, EndStream: true}); err != nil {
		t.Fatal("the connection was closed: ", err)
	}
	return id
}

// TestStreamsThatAreResetAtOnce: of streams that are reset when they are opened few cost
// more than their frames, and those are read slowly.
func TestStreamsThatAreResetAtOnce(t *testing.T) {
	for _, path := range []string{"/nobody", "/wait"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 2000
				l := pacedServer(t, nil)
				f, _ := l.speak()
				began := time.Now()
				for i := range n {
					if err := f.WriteRSTStream(openStream(t, f, i, path), http2.ErrCodeCancel); err != nil {
						t.Fatal("the connection was closed: ", err)
					}
					synctest.Wait() // or net/http takes what is reset faster than handlers end for an attack, and closes the connection
				}
				took := time.Since(began)
				if least := n * paceNobody / 8 / paceRate * time.Second; took < least {
					t.Errorf("%d requests were read in %s, want at least %s", n, took, least)
				}
				if most := int64((took+paceAhead)/paceTurn) + 1; l.begun.Load() > most {
					t.Errorf("%d requests began in %s, want at most %d", l.begun.Load(), took, most)
				}
			})
		})
	}
}

// TestManyRequestsAtOnce of callers that are known wait for nothing, although their
// connection begins without a burst.
func TestManyRequestsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		l := pacedServer(t, nil)
		for range 2 {
			l.speak()
			synctest.Wait()
		}
		f, answered := l.speak()
		began := time.Now()
		for i := range n {
			openStream(t, f, i, "/echo")
		}
		for range n {
			<-answered
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("they were made to wait for %s", d)
		}
	})
}

// TestAnUploadOfNobodyKnown: whoever sent one with a credential that had ended does not wait
// for having done so, now and then: as much had come as a stream may before its client heard
// of it.
func TestAnUploadOfNobodyKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, answered := pacedServer(t, nil).speak()
		for i := range 3 {
			began := time.Now()
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(4*i + 1), BlockFragment: header(http.MethodPost, "/nobody"), EndHeaders: true}); err != nil {
				t.Fatal(err)
			}
			<-answered
			for range paceStream >> 14 {
				if err := f.WriteData(uint32(4*i+1), false, make([]byte, 1<<14)); err != nil {
					t.Fatal(err)
				}
			}
			openStream(t, f, 2*i+1, "/echo")
			<-answered
			if d := time.Since(began); d != 0 {
				t.Errorf("upload %d: the next request was made to wait for %s", i, d)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// TestFewConnectionsOfAnAddressBeginWithABurst, and one more each second; those of other
// addresses are counted by themselves, and not too many of them are remembered.
func TestFewConnectionsOfAnAddressBeginWithABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(1000, 1000, nil)
		begin := func(from string, n int) (with int) {
			for _, c := range arrive(cs, from, n) {
				if cs.state(c, http.StateIdle); c.pace.left == paceBurst {
					with++
				}
				_ = c.Close() // a new one begins no better
			}
			return with
		}
		if got := begin("192.0.2.1", 20); got != 2 {
			t.Errorf("%d of 20 connections began with a burst, want 2", got)
		}
		if got := begin("192.0.2.2", 1); got != 1 {
			t.Errorf("of another address %d of 1 did", got)
		}
		time.Sleep(2 * time.Second)
		if got := begin("192.0.2.1", 20); got != 2 {
			t.Errorf("two seconds later %d of 20 did, want 2", got)
		}
		for i := range 3 * addressesKept {
			begin(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), 1)
		}
		if n := len(cs.bursts.due); n > addressesKept {
			t.Errorf("%d addresses are remembered, want at most %d", n, addressesKept)
		}
	})
}
