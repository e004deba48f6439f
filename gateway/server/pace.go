package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// What comes over an HTTP/2 connection and belongs to no request, in bytes. A frame
// without content has nine, and costs as much work as one with kilobytes.
const (
	paceBurst  = 64 << 10
	paceRate   = 64 << 10               // in a second
	paceWindow = 512 << 10              // of bodies that may have come before anybody reads them
	paceStream = 256 << 10              // of one of them
	paceUnread = 2 << 20                // of bodies that nobody reads: their requests were refused
	paceAgain  = 512 << 10              // of those, in a second
	paceEach   = 512                    // of a request, beside its header: its frames, those about its answer, and TLS
	paceNobody = 4 << 10                // owed for a request until it is known who calls, and for one that is given up
	paceAnswer = 32                     // one for so many of an answer: the client makes room for more of it
	paceOwed   = 4 << 10                // may be owed: a pause for each frame would cost more than the frame
	pacePause  = 100 * time.Millisecond // at most, before what comes next is read
)

// pace bounds what an HTTP/2 connection sends beside requests and their bodies. Frames
// that ask for nothing (empty ones, settings, pings, priorities, unknown ones) may come
// without end, and no limit on requests or bytes counts them. What is read is a debt that
// requests, bodies, answers and time pay off; a connection that owes too much is read from
// slowly, and never closed for it.
type pace struct {
	mu     sync.Mutex // guards what follows
	on     bool       // HTTP/2 is spoken
	asked  bool       // there was a request
	slowed bool
	left   int // bytes, negative when they are owed
	unread int // bytes of bodies that may go unread
	at     time.Time
	bodies int // requests that have a body and are served
	paid   chan struct{}
}

// idle hears that a connection waits for a request. Before the first one that is so over
// HTTP/2 alone. It may begin with a burst when burst says so.
func (p *pace) idle(now time.Time, burst func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on || p.asked {
		return
	}
	p.on, p.unread, p.at, p.paid = true, paceUnread, now, make(chan struct{}, 1)
	if burst() {
		p.left = paceBurst
	}
}

// What addresses may begin with: a connection that begins without a burst is read from as
// fast as any when it is known who calls.
const (
	burstsEach = 2    // connections of one address, and one more each second
	burstsOf   = 1024 // addresses that are remembered
)

// bursts counts the connections of each address that have begun with a burst lately.
type bursts struct {
	mu sync.Mutex // guards of
	of map[netip.Addr]begun
}

// begun is how many have begun, one less for each second since.
type begun struct {
	n  float64
	at time.Time
}

// take reports whether one more connection of an address may begin with a burst.
func (b *bursts) take(a netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, there := b.of[a]
	one = begun{max(0, one.n-now.Sub(one.at).Seconds()), now}
	if one.n > burstsEach-1 {
		return false
	}
	if b.of == nil {
		b.of = map[netip.Addr]begun{}
	}
	if !there && len(b.of) >= burstsOf {
		for other := range b.of { // any
			delete(b.of, other)
			break
		}
	}
	one.n++
	b.of[a] = one
	return true
}

// request hears of a request. To begin one takes thirty bytes of a client and a handler
// here: until it is known who calls, it owes.
func (p *pace) request(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.on = true, p.on && r.ProtoMajor >= 2
	if p.on {
		p.left -= paceNobody
	}
}

// read counts bytes that have come.
func (p *pace) read(n int) {
	p.mu.Lock()
	p.left -= n
	p.mu.Unlock()
}

// pay counts bytes that have been accounted for.
func (p *pace) pay(n int) {
	p.mu.Lock()
	p.left = min(p.left+n, max(p.left, paceBurst))
	if p.left >= -paceOwed && p.on {
		select {
		case p.paid <- struct{}{}:
		default: // it is known
		}
	}
	p.mu.Unlock()
}

// body counts a request with a body until end is called, with how much of it may come that
// nobody reads: its client goes on sending it until it hears the answer.
func (p *pace) body() (end func(unread int)) {
	p.mu.Lock()
	p.bodies++
	p.mu.Unlock()
	return func(unread int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		unread = min(unread, paceStream, p.unread)
		p.bodies--
		p.unread -= unread
		p.left = min(p.left+unread, paceBurst+paceUnread)
	}
}

// pause is how long to wait before more is read.
func (p *pace) pause(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return 0
	}
	passed := min(max(now.Sub(p.at), 0), time.Minute)
	p.left = min(p.left+int(passed*paceRate/time.Second), max(p.left, paceBurst))
	p.unread, p.at = min(p.unread+int(passed*paceAgain/time.Second), paceUnread), now
	owed := -p.left
	if p.bodies > 0 {
		owed -= paceWindow
	}
	if owed < paceOwed {
		return 0
	}
	if !p.slowed {
		p.slowed = true
		connsSlowed.Inc()
	}
	return min(time.Duration(owed)*time.Second/paceRate, pacePause)
}

// wait waits until something more may be read: for as long as pause says, unless what is
// owed is paid before.
func (p *pace) wait(now func() time.Time) {
	p.mu.Lock()
	on := p.on
	p.mu.Unlock()
	if !on {
		return
	}
	for end := now().Add(pacePause); ; {
		d := min(p.pause(now()), end.Sub(now()))
		if d <= 0 {
			return
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
			return
		case <-p.paid:
			t.Stop()
		}
	}
}

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
	}
}

// wasted hears of a request that was refused for want of room, or given up.
func wasted(r *http.Request) {
	if a, ok := r.Context().Value(askingKey{}).(*asking); ok {
		a.pace.pay(-paceNobody)
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
		next.ServeHTTP(w, r)
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

// end hears that nobody reads any more. What a caller that is known goes on sending, because
// its request was refused, is forgiven.
func (b *paying) end(a *asking, end func(unread int)) {
	switch {
	case !a.known:
		end(0)
	case b.left < 0:
		end(paceStream)
	default:
		end(int(b.left))
	}
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
