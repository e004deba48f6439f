package edge_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// h2 is a client of HTTP/2 without TLS that opens no window (RFC 9113): no answer with
// a body ever leaves the server completely.
type h2 struct {
	t    *testing.T
	conn net.Conn
	next uint32
}

// Frame types and the parts of a setting that are needed (RFC 9113 section 6).
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4

	initialWindow = 4
	endStream     = 1
	endHeaders    = 4
)

func serveH2(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.CloseClientConnections) // before Close, which waits for answers
	return s
}

func dialH2(t *testing.T, s *httptest.Server) *h2 {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &h2{t: t, conn: conn, next: 1}
	c.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	c.frame(frameSettings, 0, 0, []byte{0, initialWindow, 0, 0, 0, 0})
	return c
}

func (c *h2) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *h2) frame(kind, flags byte, stream uint32, payload []byte) {
	c.t.Helper()
	head := []byte{0, 0, 0, kind, flags, 0, 0, 0, 0}
	head[1], head[2] = byte(len(payload)>>8), byte(len(payload))
	binary.BigEndian.PutUint32(head[5:], stream)
	c.write(append(head, payload...))
}

// get asks for a path, with headers as names and values; nothing is compressed (RFC 7541).
func (c *h2) get(path string, header ...string) uint32 {
	c.t.Helper()
	text := func(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }
	block := text([]byte{0x82, 0x86, 0x04}, path)
	block = text(append(block, 0x01), "127.0.0.1")
	for pair := range slices.Chunk(header, 2) {
		block = text(text(append(block, 0x00), pair[0]), pair[1])
	}
	id := c.next
	c.next += 2
	c.frame(frameHeaders, endStream|endHeaders, id, block)
	return id
}

// await reads until a stream has ended, and returns the kinds of its frames.
func (c *h2) await(stream uint32) (kinds []byte) {
	c.t.Helper()
	for {
		var head [9]byte
		if _, err := io.ReadFull(c.conn, head[:]); err != nil {
			c.t.Fatalf("the connection ended: %v", err)
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c.conn, payload); err != nil {
			c.t.Fatal(err)
		}
		if binary.BigEndian.Uint32(head[5:]) != stream {
			continue
		}
		kinds = append(kinds, head[3])
		if head[3] == frameReset || head[3] <= frameHeaders && head[4]&endStream != 0 {
			return kinds
		}
	}
}
