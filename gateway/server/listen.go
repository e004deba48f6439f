package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"portcullis/gateway/edge"
)

// The times protect the reading of headers and idle connections; none of them
// cuts a stream.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 120 * time.Second
	maxHeader     = 96 << 10         // a token of 64 KiB and other headers beside it
	writeTimeout  = 20 * time.Second // in which a client takes 64 KiB of an answer, or anything over HTTP/2
)

// http2Config bounds what one HTTP/2 connection can make the gateway hold. RFC 9113
// section 6.5.2 recommends at least 100 streams.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 100, MaxReadFrameSize: 16 << 10,
		MaxDecoderHeaderTableSize: 4 << 10, MaxEncoderHeaderTableSize: 4 << 10,
		MaxReceiveBufferPerConnection: paceWindow, MaxReceiveBufferPerStream: paceStream,
		SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: writeTimeout,
	}
}

// protocols are those of both listeners. Without TLS, HTTP/2 is spoken with clients
// that begin with it (RFC 9113 section 3.3).
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Serve listens until ctx ends, and then lets running calls finish.
func (g *Server) Serve(ctx context.Context) error {
	for _, w := range g.cfg.Warnings {
		g.logs.Server.Warn("configuration", "warning", w)
	}
	for _, d := range g.cfg.Dangerous() {
		g.warnOf(d)
	}
	if err := g.audit.Check(); err != nil {
		g.logs.Server.Error("the audit file cannot be opened: every call will be refused", "cause", err)
	}
	if err := g.state.Lock(); err != nil {
		return err
	}
	defer func() { _ = g.state.Unlock() }() // ends with the process anyway
	if err := g.openFirmStore(ctx); err != nil {
		return err
	}
	servers, err := g.listen(ctx)
	if err != nil {
		return err
	}
	g.tunesGC = TuneGC()
	LimitMemory()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); g.Run(background) }()
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.serve() }()
	}
	if err := announce(g.options.Stdout, servers); err != nil {
		return err
	}
	g.started(servers)
	select {
	case err = <-failed:
		g.logs.Server.Error("a listener has failed: the gateway stops", "cause", err)
	case <-ctx.Done():
		err = g.drain(failed)
	}
	g.leave(servers)
	stop()
	<-done
	return errors.Join(err, g.closeAll())
}

// drain serves on while /readyz says that the gateway leaves, so that a balancer has
// sent its last call here before the listeners close. A listener that fails ends it.
func (g *Server) drain(failed <-chan error) error {
	g.leaving.Store(true)
	g.logs.Server.Info("the gateway was told to stop: it is not ready any more and serves calls a while longer", "delay", g.cfg.ShutdownDelay.String())
	select {
	case err := <-failed:
		return err
	case <-time.After(g.cfg.ShutdownDelay):
		return nil
	}
}

// listener is one listening socket with its HTTP server.
type listener struct {
	*http.Server
	socket net.Listener
	secure bool // with TLS; Server.TLSConfig does not tell, net/http sets it by itself
}

func (s listener) url() string {
	if s.secure {
		return "https://" + s.socket.Addr().String()
	}
	return "http://" + s.socket.Addr().String()
}

func (s listener) serve() error {
	var err error
	if s.secure {
		err = s.ServeTLS(s.socket, "", "")
	} else {
		err = s.Serve(s.socket)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (g *Server) listen(ctx context.Context) ([]listener, error) {
	type place struct {
		addr  string
		edge  *edge.Edge
		conns *conns
	}
	addrs := []place{{g.cfg.Listen(), g.edge, g.conns}}
	if g.cfg.AdminAddr != "" {
		addrs = append(addrs, place{g.cfg.AdminAddr, g.admin, newConns(adminConns, adminConns/2, nil)})
	}
	var servers []listener
	for i, a := range addrs {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.addr)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		s := &http.Server{
			Handler: paced(g.auth.Unpipelined(a.edge)), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
			ErrorLog: g.logs.HTTPErrors(g.connectionFailed), HTTP2: http2Config(), Protocols: protocols(), ConnState: a.conns.state, ConnContext: withConn,
		}
		if i == 0 {
			s.TLSConfig = a.conns.spreadHandshakes(g.auth.TLSConfig())
		}
		servers = append(servers, listener{s, a.conns.listen(bounded{l}), s.TLSConfig != nil})
	}
	return servers, nil
}

// announce prints the ready line, which names the ports that were found.
func announce(w io.Writer, servers []listener) error {
	ready := map[string]string{}
	for i, s := range servers {
		ready[[]string{"addr", "admin_addr"}[i]] = s.url()
	}
	line, err := json.Marshal(ready)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(line))
	return err
}

// leave closes the listeners and lets running calls finish within the time that is
// configured. Streams end first, and tell their clients to connect again: one would
// keep its connection busy for ever.
func (g *Server) leave(servers []listener) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.ShutdownTimeout)
	defer cancel()
	g.events.Close()
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			g.logs.Server.Warn("calls were cut off at shutdown: they took longer than SHUTDOWN_TIMEOUT", "cause", err)
			_ = s.Close()
		}
	}
	said := make(chan struct{})
	go func() { defer close(said); g.subscriptions.Wait() }()
	select {
	case <-said:
	case <-ctx.Done():
	}
}

// closeAll gives back what the gateway holds, within the time that is configured.
func (g *Server) closeAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.ShutdownTimeout)
	defer cancel()
	return g.Close(ctx)
}
