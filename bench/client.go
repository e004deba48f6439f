package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// request is prepared, so that the driver's own CPU is not what is measured.
type request struct {
	name     string
	head     string // without the empty line at its end
	body     string
	expect   int
	contains []byte
}

// patience bounds one answer.
const patience = 20 * time.Second

// client sends one request at a time over one connection.
type client struct {
	to      *target
	conn    net.Conn
	r       *bufio.Reader
	body    bytes.Buffer
	session string // of MCP, empty for none
	calls   int    // in the session
}

// errRefused says that an answer is not the one that the scenario expects. The
// connection is still good.
var errRefused = errors.New("not the expected answer")

// do sends a request and reads its answer, on a new connection when there is none.
func (c *client) do(ctx context.Context, q *request) error {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	if c.to.session > 0 && (c.session == "" || c.calls >= c.to.session) {
		if err := c.begin(); err != nil {
			return c.failed(err)
		}
	}
	c.calls++
	return c.failed(c.exchange(q))
}

func (c *client) dial(ctx context.Context) (err error) {
	d := &net.Dialer{Timeout: patience}
	if c.conn, err = d.DialContext(ctx, "tcp", c.to.addr); err != nil {
		return err
	}
	if c.to.tls != nil {
		c.conn = tls.Client(c.conn, c.to.tls)
	}
	c.r, c.session = bufio.NewReader(c.conn), ""
	return nil
}

// failed closes a connection that is of no use any more.
func (c *client) failed(err error) error {
	if err != nil && !errors.Is(err, errRefused) {
		c.close()
	}
	return err
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // what was asked has been answered, or never will be
		c.conn = nil
	}
}

// begin begins an MCP session (MCP 2025-11-25, lifecycle).
func (c *client) begin() error {
	c.session, c.calls = "", 0
	if err := c.exchange(&c.to.initialize); err != nil {
		return err
	}
	if c.session == "" {
		return errors.New("initialize has answered without Mcp-Session-Id")
	}
	return c.exchange(&c.to.initialized)
}

// exchange writes a request and reads its answer to the end.
func (c *client) exchange(q *request) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	session := ""
	if c.session != "" {
		session = "Mcp-Session-Id: " + c.session + "\r\n"
	}
	if _, err := io.WriteString(c.conn, q.head+session+"\r\n"+q.body); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	c.body.Reset()
	_, err = c.body.ReadFrom(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && c.session == "" {
		c.session = id
	}
	if resp.StatusCode != q.expect || !bytes.Contains(c.body.Bytes(), q.contains) {
		text := c.body.String()
		err = fmt.Errorf("%s: %w: status %d, want %d: %s", q.name, errRefused, resp.StatusCode, q.expect, text[:min(len(text), 300)])
	}
	if resp.Close {
		c.close()
	}
	return err
}

// message is what a request consists of.
type message struct {
	method string
	url    *url.URL
	header string // with the credential
	body   string
}

// newRequest writes a request out.
func newRequest(name string, m message) request {
	head := m.method + " " + m.url.RequestURI() + " HTTP/1.1\r\nHost: " + m.url.Host + "\r\n" + m.header + "\r\n"
	if m.body != "" {
		head += fmt.Sprintf("Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n", len(m.body))
	}
	return request{name: name, head: head, body: m.body, expect: http.StatusOK}
}

// streams opens event streams and keeps them open until stop is called.
func (t *target) streams(ctx context.Context, n int) (stop func(), err error) {
	var conns []net.Conn
	stop = func() {
		for _, c := range conns {
			_ = c.Close() // nothing of it is needed any more
		}
	}
	for range n {
		c := &client{to: t}
		if err := c.dial(ctx); err != nil {
			return stop, err
		}
		conns = append(conns, c.conn)
		if _, err := io.WriteString(c.conn, t.stream.head+"\r\n"); err != nil {
			return stop, err
		}
		line, err := c.r.ReadString('\n')
		if err != nil || !strings.Contains(line, " 200 ") {
			return stop, fmt.Errorf("%s: stream %d of %d: answered %q: %w", t.name, len(conns), n, strings.TrimSpace(line), errors.Join(errRefused, err))
		}
		go func() { _, _ = io.Copy(io.Discard, c.r) }() // until it is closed
	}
	return stop, nil
}
