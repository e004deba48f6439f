package vaulttest

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/retry"
)

// Proxy is a TCP proxy in front of a server that can break replies.
type Proxy struct {
	Addr string // http://127.0.0.1:PORT

	target string
	listen net.Listener
	fault  atomic.Pointer[Fault]
	hit    atomic.Int64
	mu     sync.Mutex // guards conns
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

// Fault is what happens to replies. The zero Fault changes nothing.
type Fault struct {
	Match  string        // only requests that hold this text, for example "PUT /v1/secret/"
	Bytes  int           // of the reply that still come through before the connection is cut
	Cut    bool          // cut the connection
	Delay  time.Duration // before the reply
	Refuse bool          // cut the connection before anything reaches the server
	In     int           // cut it when so many bytes of the request have reached the server, or all but one
	Times  int           // how often, 0 for always
}

// StartProxy starts a proxy that ends with the test.
func StartProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: "http://" + l.Addr().String(), target: strings.TrimPrefix(addr, "http://"),
		listen: l, conns: map[net.Conn]bool{},
	}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.CutAll()
		p.wg.Wait()
	})
	return p
}

// Break sets the fault for what comes next.
func (p *Proxy) Break(f Fault) {
	p.hit.Store(0)
	p.fault.Store(&f)
}

// Heal ends the fault.
func (p *Proxy) Heal() { p.fault.Store(nil) }

// Hits is how often the fault has struck.
func (p *Proxy) Hits() int { return int(p.hit.Load()) }

// CutAll cuts every open connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) track(c net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.conns[c] = true
		return
	}
	delete(p.conns, c)
	_ = c.Close()
}

func (p *Proxy) serve(client net.Conn) {
	p.track(client, true)
	defer p.track(client, false)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.track(server, true)
	defer p.track(server, false)
	var struck atomic.Pointer[Fault]
	p.wg.Go(func() { p.up(client, server, &struck) })
	p.down(client, server, &struck)
}

// up carries requests and looks for the one that the fault is about.
func (p *Proxy) up(client, server net.Conn, struck *atomic.Pointer[Fault]) {
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		if f := p.strikes(buf[:n]); f != nil {
			if f.Refuse || f.In > 0 {
				_, _ = server.Write(buf[:min(f.In, n-1)])
				_ = client.Close()
				_ = server.Close()
				return
			}
			struck.Store(f)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) strikes(b []byte) *Fault {
	f := p.fault.Load()
	if f == nil || !bytes.Contains(b, []byte(f.Match)) {
		return nil
	}
	if n := p.hit.Add(1); f.Times > 0 && n > int64(f.Times) {
		p.hit.Add(-1)
		return nil
	}
	return f
}

// down carries replies and breaks the one that the fault is about.
func (p *Proxy) down(client, server net.Conn, struck *atomic.Pointer[Fault]) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if f := struck.Swap(nil); f != nil {
			retry.Sleep(context.Background(), f.Delay)
			if f.Cut {
				_, _ = client.Write(buf[:min(f.Bytes, n)])
				return
			}
		}
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
