package server

import (
	"context"
	"net/http"
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
	paceTurn   = time.Second / 16       // between requests of nobody known, as paceNobody and paceRate have it
	paceAhead  = 16 * paceTurn          // they may be early by that
	burstEvery = time.Second            // between connections of an address that begin with a burst
	burstAhead = time.Second            // so two at once
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
	spared int // of those of nobody known: what time has paid and nothing was owed for
	at     time.Time
	bodies int // requests that have a body and are served
	paid   chan struct{}
	due    time.Time     // when one more request of nobody known may begin
	door   chan struct{} // held by the request that begins next
	moved  chan struct{} // due is another
}

// idle hears that a connection waits for a request. Before the first one that is so over
// HTTP/2 alone. It may begin with a burst when burst says so.
func (p *pace) idle(now time.Time, burst func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on || p.asked {
		return
	}
	p.on, p.unread, p.at, p.due = true, paceUnread, now, now
	p.paid, p.door, p.moved = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	if burst() {
		p.left, p.spared, p.due = paceBurst, paceStream, now.Add(-paceAhead)
	}
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

// begin waits until one more request may begin of which nobody knows who sent it, and
// reports whether its client still waits: one that resets its streams at once has cost
// no more than their frames then. One of whose sender something is known by now makes
// room for the next.
func (p *pace) begin(ctx context.Context, now func() time.Time) bool {
	if p.door == nil {
		return true // not counted
	}
	select {
	case p.door <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-p.door }()
	for d := p.turn(now()); d > 0; d = p.turn(now()) {
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-p.moved:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

// turn takes a turn of a request of nobody known, or returns how long to wait for it.
func (p *pace) turn(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if early := now.Add(-paceAhead); p.due.Before(early) {
		p.due = early
	}
	if d := p.due.Sub(now); d > 0 {
		p.slow()
		return d
	}
	p.due = p.due.Add(paceTurn)
	return 0
}

// slow counts the connection among those that were made to wait.
func (p *pace) slow() {
	if !p.slowed {
		p.slowed = true
		connsSlowed.Inc()
	}
}

// charge moves the next turn: behind a request that was wasted, or back when it is known
// who sent one.
func (p *pace) charge(d time.Duration) {
	p.mu.Lock()
	p.due = p.due.Add(d)
	p.mu.Unlock()
	select {
	case p.moved <- struct{}{}:
	default: // it is said already, or nothing is counted
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
// nobody reads: its client goes on sending it until it hears the answer. For nobody known
// that is what time has paid already.
func (p *pace) body() (end func(unread int, known bool)) {
	p.mu.Lock()
	p.bodies++
	p.mu.Unlock()
	return func(unread int, known bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		from := &p.spared
		if known {
			from = &p.unread
		}
		unread = min(unread, paceStream, *from)
		p.bodies--
		*from -= unread
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
	pays := int(passed * paceRate / time.Second)
	used := min(pays, max(p.left, paceBurst)-p.left)
	p.left, p.spared = p.left+used, min(p.spared+pays-used, paceStream)
	p.unread, p.at = min(p.unread+int(passed*paceAgain/time.Second), paceUnread), now
	owed := -p.left
	if p.bodies > 0 {
		owed -= paceWindow
	}
	if owed < paceOwed {
		return 0
	}
	p.slow()
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
