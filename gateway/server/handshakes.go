package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"portcullis/gateway/retry"
)

// How many handshakes an address may begin: to answer a ClientHello (RFC 8446, section 4.1.2)
// takes a hundred times the work that it takes to send one, more with RSA, and chains of a
// client's certificates more again.
const (
	handshakeEvery = 3 * time.Millisecond
	handshakeAhead = 200 * handshakeEvery
	handshakeWait  = headerTimeout - 2*time.Second
	handshakeWaste = 1 // more for one that its client breaks off, which costs it little
)

var errHandshakes = errors.New("too many TLS handshakes from this address")

// hello hears of a ClientHello, and waits until it is the turn of its address to be
// answered. It returns an error when that would take too long.
func (cs *conns) hello(ctx context.Context, nc net.Conn) error {
	c, ok := nc.(*conn)
	if !ok || cs.trusted(c.addr) {
		return nil
	}
	wait, ok := cs.handshakes.take(c.addr, cs.now(), handshakeWait)
	if !ok {
		connsRefused.Inc()
		return errHandshakes
	}
	c.hello.Store(true)
	if wait <= 0 {
		return nil
	}
	connsSlowed.Inc()
	c.waits.Store(true)
	defer cs.answerHello(c)
	if !retry.Sleep(ctx, wait) {
		return ctx.Err()
	}
	return nil
}

// answerHello ends the wait of a connection. From now on its client has as long for what comes
// next as one that has just come.
func (cs *conns) answerHello(c *conn) {
	c.waits.Store(false)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !c.gone {
		cs.put(c, cs.fresh)
	}
}

// ended charges a connection that has ended for a handshake that its client did not finish.
// One that it did has cost it as much as a request with it: clients that call in parallel make
// connections that they do not need then, and a balancer asks whether it can make one.
func (c *conn) ended(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok && c.hello.Load() && !t.ConnectionState().HandshakeComplete {
		c.all.handshakes.charge(c.addr, c.all.now(), handshakeWaste)
	}
}

// spreadHandshakes lets connections wait for their handshakes.
func (cs *conns) spreadHandshakes(conf *tls.Config) *tls.Config {
	if conf == nil {
		return nil
	}
	conf = conf.Clone()
	current := conf.GetConfigForClient
	conf.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if err := cs.hello(h.Context(), h.Conn); err != nil || current == nil {
			return nil, err
		}
		return current(h)
	}
	return conf
}
