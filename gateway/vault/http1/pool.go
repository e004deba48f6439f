package http1

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"syscall"
	"time"
)

// conn returns a kept connection on which nothing has happened since, or a new one. The
// one that was kept last comes first.
func (t *Transport) conn(ctx context.Context, o origin) (*conn, error) {
	for {
		c := t.take(o)
		if c == nil {
			return t.dial(ctx, o)
		}
		if time.Since(c.since) < t.IdleTimeout && quiet(c.socket) && c.drained() {
			c.used = true
			return c, nil
		}
		_ = c.Close() // the server has closed it, or sends what nobody has asked for
	}
}

func (t *Transport) take(o origin) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[o]
	if len(idle) == 0 {
		return nil
	}
	c := idle[len(idle)-1]
	idle[len(idle)-1] = nil
	t.kept--
	if idle = idle[:len(idle)-1]; len(idle) == 0 && len(t.idle) > 1 {
		delete(t.idle, o) // another node leads
	} else {
		t.idle[o] = idle
	}
	return c
}

// keep keeps a connection, and closes those that have been kept for too long.
func (t *Transport) keep(c *conn) {
	c.ctx, c.stop, c.since = nil, nil, time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[c.origin]
	for len(idle) > 0 && c.since.Sub(idle[0].since) >= t.IdleTimeout {
		_ = idle[0].Close() // nobody uses it
		idle, t.kept = idle[1:], t.kept-1
	}
	if t.kept >= t.MaxIdle {
		_ = c.Close() // there are enough
	} else {
		idle, t.kept = append(idle, c), t.kept+1
	}
	if t.idle == nil {
		t.idle = map[origin][]*conn{}
	}
	t.idle[c.origin] = idle
}

// CloseIdleConnections closes the connections that are kept.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for o, idle := range t.idle {
		for _, c := range idle {
			_ = c.Close() // nobody uses it
		}
		delete(t.idle, o)
	}
	t.kept = 0
}

// dial opens a connection.
func (t *Transport) dial(ctx context.Context, o origin) (*conn, error) {
	u := url.URL{Scheme: o.scheme, Host: o.host}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[o.scheme]
	}
	c, err := t.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	var socket syscall.RawConn
	if s, ok := c.(syscall.Conn); ok {
		if socket, err = s.SyscallConn(); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	if o.scheme == "https" {
		if c, err = t.secure(ctx, c, u.Hostname()); err != nil {
			return nil, err
		}
	}
	return newConn(c, socket, o), nil
}

// secure begins TLS on a connection, which it closes when that fails.
func (t *Transport) secure(ctx context.Context, c net.Conn, host string) (net.Conn, error) {
	cfg := t.TLS.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	ctx, cancel := context.WithTimeout(ctx, t.HandshakeTimeout)
	defer cancel()
	secured := tls.Client(c, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the handshake says why
		return nil, err
	}
	return secured, nil
}
