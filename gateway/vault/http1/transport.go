// Package http1 is an http.RoundTripper that does a whole HTTP/1.1 exchange in the
// goroutine that asks for it. http.Transport hands each request to one goroutine of its
// connection and takes the answer from another; with a server that is near, these two
// hand-overs cost more than the request does. Reading and writing of messages, TLS and
// dialing are the standard library's.
//
// A request is written to a connection at most once, unless it is certain that not a
// byte of it has left: whether an exchange that broke is tried again is the caller's
// decision. HTTP/2, proxies, upgrades and requests with a large or endless body are not
// for this package: Takes says which requests are.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Transport sends requests. Its fields are set before its first use; it is safe for use
// by many goroutines.
type Transport struct {
	Dial             func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS              *tls.Config   // of https; without a server name it is the host's
	HandshakeTimeout time.Duration // of TLS
	MaxActive        int           // exchanges at once; others wait for a place
	MaxIdle          int           // connections that are kept for later requests
	IdleTimeout      time.Duration // after which a kept connection is not used any more

	begin  sync.Once
	places chan struct{} // holds a value for each running exchange

	mu   sync.Mutex // guards the rest
	idle map[origin][]*conn
	kept int // connections in idle
}

// origin is where connections lead.
type origin struct{ scheme, host string }

// MaxBody is the largest body of a request that is taken, in bytes: so much is written
// without waiting for the server to read it, so writing first and reading then is safe.
const MaxBody = 64 << 10

// Takes reports whether a request is one for this transport. Others need http.Transport.
func Takes(r *http.Request) bool {
	return Supported && (r.URL.Scheme == "http" || r.URL.Scheme == "https") && r.Method != http.MethodConnect &&
		r.ContentLength >= 0 && r.ContentLength <= MaxBody && (r.ContentLength > 0 || r.Body == nil || r.Body == http.NoBody) &&
		len(r.TransferEncoding) == 0 && r.Header["Upgrade"] == nil && r.Header["Expect"] == nil
}

// errHeader says that a header of a request cannot be written.
var errHeader = errors.New("http1: a header field has a name or a value that HTTP does not have")

// RoundTrip implements http.RoundTripper. The answer's body must be read to its end, or
// closed; either is for one goroutine. Beside the request's context, the deadline of the
// context ends an exchange wherever it is.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }() // it has been read, or will not be
	}
	for name, values := range r.Header {
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return nil, errHeader
			}
		}
	}
	ctx := r.Context()
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	resp, err := t.roundTrip(ctx, r)
	if err != nil {
		t.leave()
	}
	return resp, err
}

// enter takes a place among the running exchanges.
func (t *Transport) enter(ctx context.Context) error {
	t.begin.Do(func() { t.places = make(chan struct{}, t.MaxActive) })
	select {
	case t.places <- struct{}{}:
		return nil
	default:
	}
	select {
	case t.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Transport) leave() { <-t.places }

// roundTrip does the exchange on a kept connection or on a new one. A kept connection on
// which nothing could be written is replaced.
func (t *Transport) roundTrip(ctx context.Context, r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(ctx)
	for {
		if trace != nil && trace.GetConn != nil {
			trace.GetConn(r.URL.Host)
		}
		c, err := t.conn(ctx, origin{r.URL.Scheme, r.URL.Host})
		if err != nil {
			return nil, err
		}
		if trace != nil && trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{Conn: c.Conn, Reused: c.used, WasIdle: c.used})
		}
		resp, err := c.exchange(ctx, r)
		if err == nil {
			return t.answer(c, resp), nil
		}
		_ = c.Close() // it is of no use
		if !c.used || c.wrote || ctx.Err() != nil || rewind(r) != nil {
			return nil, err
		}
	}
}

// errNoRewind says that the body of a request cannot be read again.
var errNoRewind = errors.New("http1: the body cannot be read again")

// rewind makes a request's body readable again.
func rewind(r *http.Request) (err error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
	case r.GetBody == nil:
		return errNoRewind
	default:
		r.Body, err = r.GetBody()
	}
	return err
}

// answer lets the body of an answer give the connection back at its end.
func (t *Transport) answer(c *conn, resp *http.Response) *http.Response {
	b := &body{ReadCloser: resp.Body, transport: t, conn: c, keep: !resp.Close && !resp.Request.Close}
	if resp.Body == http.NoBody {
		b.finish(true)
		return resp
	}
	resp.Body = b
	return resp
}
