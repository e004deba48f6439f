package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// connKey is of the connection in the context of its requests.
type connKey struct{}

// withConn puts a connection into the context of its requests.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c := under(nc); c != nil {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// asking is a request of an HTTP/2 connection.
type asking struct {
	pace  *pace
	bytes int // that it may have had on the wire
	known bool
}

// known hears of a request that it is known who calls: it pays for itself.
func known(r *http.Request) {
	if a, ok := r.Context().Value(askingKey{}).(*asking); ok {
		a.known = true
		a.pace.pay(paceNobody + a.bytes)
		a.pace.charge(-paceTurn)
	}
}

// wasted hears of a request that was refused for want of room, or given up.
func wasted(r *http.Request) {
	if a, ok := r.Context().Value(askingKey{}).(*asking); ok {
		a.pace.pay(-paceNobody)
		a.pace.charge(paceTurn)
	}
}

// askingKey is of the asking in the context of a request.
type askingKey struct{}

// paced lets the requests of an HTTP/2 connection pay for what has come over it.
func paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		c.pace.request(r)
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		a := &asking{pace: &c.pace, bytes: paceEach + headerBytes(r)}
		r = r.WithContext(context.WithValue(r.Context(), askingKey{}, a))
		if r.Body != nil && r.Body != http.NoBody {
			b := &paying{ReadCloser: r.Body, pace: &c.pace, left: r.ContentLength}
			defer b.end(a, c.pace.body())
			r.Body = b
		}
		if c.pace.begin(r.Context(), c.all.now) {
			next.ServeHTTP(w, r)
		}
	})
}

// headerBytes is about how long the header of a request may be on the wire. Of a name that
// comes again one value counts: HPACK lets a byte stand for a field that was sent before.
func headerBytes(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		n += len(name) + 8
		if len(values) > 0 {
			n += len(values[0])
		}
	}
	return n
}

// paying is a body that pays for its bytes, twice: its frames have headers, and TLS has some
// as well.
type paying struct {
	io.ReadCloser
	pace *pace
	left int64 // bytes that may still come, negative when nobody knows
}

// end hears that nobody reads any more. What a caller goes on sending, because its request
// was refused, is forgiven, as far as the connection may have it.
func (b *paying) end(a *asking, end func(unread int, known bool)) {
	if b.left < 0 {
		b.left = paceStream
	}
	end(int(b.left), a.known)
}

func (b *paying) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.pace.pay(2 * n)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if errors.Is(err, io.EOF) {
		b.left = 0
	}
	return n, err
}
