package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// What is read of a server at most, before the body of its answer.
const (
	maxHead    = 64 << 10 // bytes of a status line with its header
	maxInterim = 5        // answers of the class 1xx before the one that counts
)

var (
	errHead     = errors.New("http1: the header of an answer is too long")
	errInterim  = errors.New("http1: too many interim answers")
	errSwitched = errors.New("http1: the server has switched protocols unasked")
)

// conn is a connection with at most one exchange on it.
type conn struct {
	net.Conn // that of TCP, or that of TLS
	origin   origin
	socket   syscall.RawConn // of TCP
	r        *bufio.Reader
	w        *bufio.Writer
	head     int       // bytes that may still be read of a header, -1 behind it
	used     bool      // there was an exchange before
	wrote    bool      // a byte of the request may have left
	since    time.Time // when it was kept
	ctx      context.Context
	stop     func() bool // of what interrupts the exchange when ctx ends; nil when nothing does
}

func newConn(c net.Conn, socket syscall.RawConn, o origin) *conn {
	k := &conn{Conn: c, origin: o, socket: socket, head: -1}
	k.r, k.w = bufio.NewReader(k), bufio.NewWriter(k)
	return k
}

// Read implements io.Reader within the bounds of a header.
func (c *conn) Read(p []byte) (int, error) {
	if c.head >= 0 {
		if c.head == 0 {
			return 0, errHead
		}
		p = p[:min(len(p), c.head)]
	}
	n, err := c.Conn.Read(p)
	if c.head >= 0 {
		c.head -= n
	}
	return n, err
}

// Write implements io.Writer. A write that failed may have sent all of it over TLS.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 || c.origin.scheme == "https" {
		c.wrote = true
	}
	return n, err
}

// prepare sets the deadline of an exchange, and lets it end with its context.
func (c *conn) prepare(ctx context.Context) error {
	c.wrote, c.ctx, c.stop = false, ctx, nil
	deadline, _ := ctx.Deadline() // none is the zero time, which is no deadline
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	if ctx.Done() != nil {
		c.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // long past, so what waits ends
	}
	return nil
}

// release ends the hold that the context has on the connection, and reports whether the
// connection can be used again.
func (c *conn) release() bool { return c.stop == nil || c.stop() }

// exchange writes a request and reads the head of its answer. After an error the
// connection is of no use.
func (c *conn) exchange(ctx context.Context, r *http.Request) (*http.Response, error) {
	err := c.prepare(ctx)
	if err == nil {
		err = c.send(r)
	}
	// A server that has refused a request before it read all of it has answered.
	if err != nil && !c.wrote {
		c.release()
		return nil, c.cause(err)
	}
	resp, rerr := c.receive(r)
	if rerr == nil {
		resp.Close = resp.Close || err != nil
		return resp, nil
	}
	c.release()
	if err == nil {
		err = rerr
	}
	return nil, c.cause(err)
}

func (c *conn) send(r *http.Request) error {
	if err := r.Write(c.w); err != nil {
		return err
	}
	return c.w.Flush()
}

// receive reads the head of the answer that counts (RFC 9110 section 15.2).
func (c *conn) receive(r *http.Request) (*http.Response, error) {
	for range maxInterim {
		c.head = maxHead
		resp, err := http.ReadResponse(c.r, r)
		c.head = -1
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitched
		case resp.StatusCode >= http.StatusOK:
			return resp, nil
		}
	}
	return nil, errInterim
}

// cause is why an exchange has failed: that its context has ended comes first.
func (c *conn) cause(err error) error {
	if ended := c.ctx.Err(); ended != nil {
		return ended
	}
	return err
}

// drained reports whether nothing is left to read of what TLS has taken from the socket: it
// reads ahead, and what is behind an answer in there is no answer to the next request. A
// deadline that has passed lets it give what it has, and wait for nothing.
func (c *conn) drained() bool {
	if c.origin.scheme != "https" {
		return true
	}
	var b [1]byte
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := c.Conn.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// body is that of an answer. At its end the connection is kept.
type body struct {
	io.ReadCloser
	transport *Transport
	conn      *conn
	keep      bool // the server keeps the connection
	done      bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.done {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	whole := errors.Is(err, io.EOF)
	if !whole {
		err = b.conn.cause(err)
	}
	b.finish(whole)
	return n, err
}

// Close implements io.Closer. A connection on which something is left is closed: what
// comes next on it would be the rest of this answer.
func (b *body) Close() error {
	b.finish(false)
	return nil
}

// finish keeps the connection, or closes it.
func (b *body) finish(whole bool) {
	if b.done {
		return
	}
	b.done = true
	c := b.conn
	if free := c.release(); free && whole && b.keep && c.r.Buffered() == 0 {
		b.transport.keep(c)
	} else {
		_ = c.Close() // what matters of it has been read
	}
	b.transport.leave()
}
